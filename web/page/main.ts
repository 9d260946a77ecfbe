// The page: its two tabs, the sheet of models, and what surrounds them.

import { hasHistory, refresh } from "./models/library.ts";
import { takeAddress } from "./models/machine.ts";
import { listenToModels } from "./models/sheet.ts";
import { listenToNotices, problem } from "./notice.ts";
import { workOffline } from "./offline.ts";
import { redraw, startScore, take } from "./score/tab.ts";
import { listenToTabs, showTab } from "./tabs.ts";
import { listenToTheme } from "./theme.ts";
import { WriteTab } from "./write/tab.ts";

listenToNotices();
listenToTheme(redraw);
listenToModels();
new WriteTab((prompt, texts, name) => {
  take(prompt, texts, name);
  showTab("score");
});
listenToTabs();
startScore().catch(problem);
if (hasHistory()) refresh().catch(problem);
takeAddress().catch(problem);
void workOffline();
