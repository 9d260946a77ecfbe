//! What happens: eight plots, each a table of beats.

use serde::{Deserialize, Serialize};

/// What happens in a tale. The order is the world's: the first plot is told most often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plot {
    /// Somebody sets out to find the object.
    Quest,
    /// The object is lost and mourned.
    Loss,
    /// A trick is played with it.
    Trick,
    /// It brings a family together again.
    Reunion,
    /// A storm comes and somebody is saved.
    Storm,
    /// It is traded for a price.
    Bargain,
    /// A friend proves false.
    Betrayal,
    /// Somebody changes shape.
    Transformation,
}

impl Plot {
    /// All plots, most frequent first.
    pub const ALL: [Self; 8] = [
        Self::Quest,
        Self::Loss,
        Self::Trick,
        Self::Reunion,
        Self::Storm,
        Self::Bargain,
        Self::Betrayal,
        Self::Transformation,
    ];

    /// The plot's name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quest => "quest",
            Self::Loss => "loss",
            Self::Trick => "trick",
            Self::Reunion => "reunion",
            Self::Storm => "storm",
            Self::Bargain => "bargain",
            Self::Betrayal => "betrayal",
            Self::Transformation => "transformation",
        }
    }

    pub(crate) fn beats(self) -> &'static Beats {
        match self {
            Self::Quest => &QUEST,
            Self::Loss => &LOSS,
            Self::Trick => &TRICK,
            Self::Reunion => &REUNION,
            Self::Storm => &STORM,
            Self::Bargain => &BARGAIN,
            Self::Betrayal => &BETRAYAL,
            Self::Transformation => &TRANSFORMATION,
        }
    }
}

/// The phrasings of a plot's beats, in the markup of [`crate::grammar`].
pub(crate) struct Beats {
    /// Names the character, the object and the place.
    pub(crate) opening: [&'static str; 5],
    pub(crate) event: [&'static str; 5],
    /// Follows "but" or "then".
    pub(crate) turn: [&'static str; 5],
    /// An ending to which the object returns.
    pub(crate) echo: [&'static str; 4],
    /// An ending that returns to the place instead: as much is repeated, so that an echo makes no tale less
    /// deviating than another.
    pub(crate) close: [&'static str; 4],
}

impl Beats {
    pub(crate) fn templates(&self) -> impl Iterator<Item = &'static str> {
        let Self {
            opening,
            event,
            turn,
            echo,
            close,
        } = self;
        [&opening[..], event, turn, echo, close]
            .concat()
            .into_iter()
    }
}

const QUEST: Beats = Beats {
    opening: [
        "{c} [seek|seeks|sought] the {a} {o} / far beyond the {l} {t}",
        "{t} {c} [set|sets|set] out from the {l} / to find a {a} {o}",
        "{c} [leave|leaves|left] the {l} {t} / on a quest for the {a} {o}",
        "{t} {c} [begin|begins|began] a journey across the {l} / to seek a {a} {o}",
        "{c} [march|marches|marched] off {t} / to find the {a} {o} of the {l}",
    ],
    event: [
        "{s} [climb|climbs|climbed] three hills / and [cross|crosses|crossed] a wide river",
        "{s} [follow|follows|followed] the north road / past seven mountains",
        "an owl <points|pointed> the way / up a steep trail",
        "{s} [march|marches|marched] for nine days / along a winding trail",
        "{s} [cross|crosses|crossed] the river / and [follow|follows|followed] an owl",
    ],
    turn: [
        "a giant <guards|guarded> the last bridge",
        "the trail <ends|ended> at a gate / with a riddle on it",
        "a dragon <blocks|blocked> the road / and {s} [creep|creeps|crept] past",
        "the bridge <is|was> down / and {s} [leap|leaps|leaped] across",
        "the giant <asks|asked> a riddle / at the gate",
    ],
    echo: [
        "{s} [find|finds|found] the {o} at the summit and [carry|carries|carried] it home",
        "at the end of the road the {o} <waits|waited> on a stone",
        "{s} [come|comes|came] home from the mountains with the {o}",
        "{s} [reach|reaches|reached] the summit and there <shines|shone> the {o}",
    ],
    close: [
        "{s} [rest|rests|rested] at the summit far from the {l}",
        "the road <leads|led> {m} home to the {l}",
        "{s} [come|comes|came] home to the {l} a hero",
        "the trail <ends|ended> in the {l} at last",
    ],
};

const LOSS: Beats = Beats {
    opening: [
        "{c} [lose|loses|lost] a {a} {o} / somewhere in the {l} {t}",
        "{t} {c} [miss|misses|missed] a {a} {o} / that <is|was> lost in the {l}",
        "{c} [drop|drops|dropped] a {a} {o} / down a well in the {l} {t}",
        "{t} {c} [forget|forgets|forgot] a {a} {o} / on a bench in the {l}",
        "{t} a {a} {o} <is|was> missing / and {c} [search|searches|searched] the {l}",
    ],
    event: [
        "{s} [search|searches|searched] every corner / and [look|looks|looked] under the floor",
        "{s} [empty|empties|emptied] {p} pockets / and [find|finds|found] only dust",
        "{s} [dig|digs|dug] in the mud / with both hands",
        "{s} [look|looks|looked] behind every bench / and in every corner",
        "{s} [call|calls|called] down the well / and [search|searches|searched] the mud",
    ],
    turn: [
        "it <is|was> gone / and {p} heart <aches|ached>",
        "nothing <appears|appeared> / and {s} [weep|weeps|wept] alone",
        "the well <is|was> bare / and {s} [sigh|sighs|sighed]",
        "{p} pockets <stay|stayed> bare / and {s} [grieve|grieves|grieved]",
        "only dust <is|was> there / and {s} [weep|weeps|wept]",
    ],
    echo: [
        "{s} never [see|sees|saw] the {o} again and [mourn|mourns|mourned] it for years",
        "only the shadow of the {o} <remains|remained> in {p} memory",
        "{s} [keep|keeps|kept] a bare shelf for the missing {o}",
        "{s} [dream|dreams|dreamed] of the {o} and [grieve|grieves|grieved] in vain",
    ],
    close: [
        "{s} [mourn|mourns|mourned] it in the {l} for years",
        "{s} [search|searches|searched] the {l} for years in vain",
        "only a memory <remains|remained> in the {l}",
        "{s} [grieve|grieves|grieved] alone in the silent {l}",
    ],
};

const TRICK: Beats = Beats {
    opening: [
        "{c} [play|plays|played] a trick with a {a} {o} / in the {l} {t}",
        "{t} {c} [hide|hides|hid] a {a} {o} / to fool a greedy wolf in the {l}",
        "{c} [tell|tells|told] a greedy fool in the {l} {t} / that a {a} {o} <can|could> talk",
        "{t} {c} [swap|swaps|swapped] a {a} {o} for a turnip / as a joke in the {l}",
        "{c} [plan|plans|planned] a prank with a {a} {o} / in the {l} {t}",
    ],
    event: [
        "the wolf <grins|grinned> / and <swallows|swallowed> the bait",
        "the fool <opens|opened> the sack / and <gapes|gaped> at a turnip",
        "{s} [wink|winks|winked] / and [pull|pulls|pulled] a clever prank",
        "{s} [bow|bows|bowed] low / and [wear|wears|wore] a fake beard",
        "{s} [hide|hides|hid] a turnip / in the sack of a wolf",
    ],
    turn: [
        "the wolf <sees|saw> the joke / too late",
        "the greedy fool <tumbles|tumbled> / into a barrel",
        "the fake beard <slips|slipped> / and the crowd <cheers|cheered>",
        "the sack <is|was> full / of turnips",
        "the clever bait <fools|fooled> / even the mayor",
    ],
    echo: [
        "{s} [chuckle|chuckles|chuckled] all day with the {o} up {p} sleeve",
        "everyone <giggles|giggled> when the {o} <tumbles|tumbled> from the sack",
        "the wolf <howls|howled> and {s} [pull|pulls|pulled] out the {o}",
        "{s} [wink|winks|winked] and [pull|pulls|pulled] the {o} from {p} fake beard",
    ],
    close: [
        "{s} [chuckle|chuckles|chuckled] all the way from the {l}",
        "the whole {l} <giggles|giggled> at the fool",
        "the wolf <howls|howled> across the {l}",
        "even the mayor of the {l} <giggles|giggled>",
    ],
};

const REUNION: Beats = Beats {
    opening: [
        "{c} [meet|meets|met] {p} sister again / over a {a} {o} in the {l} {t}",
        "{t} {c} [recognize|recognizes|recognized] the {a} {o} / of {p} father in the {l}",
        "after twenty years / {c} [return|returns|returned] to the {l} {t} with a {a} {o}",
        "{c} [welcome|welcomes|welcomed] {p} twin to the {l} {t} / with a {a} {o}",
        "{t} {c} [meet|meets|met] {p} mother in the {l} / and [wave|waves|waved] a {a} {o}",
    ],
    event: [
        "the sister <recognizes|recognized> {p} face / at once",
        "the twins <hug|hugged> / for a full hour",
        "{p} father <speaks|spoke> {p} name / and <smiles|smiled>",
        "{s} [hug|hugs|hugged] the family / and [kiss|kisses|kissed] both cheeks",
        "{p} mother <smiles|smiled> / and <kisses|kissed> {p} cheeks",
    ],
    turn: [
        "twenty years <melt|melted> away in one hug",
        "the father <remembers|remembered> each childhood song",
        "the family <has|had> never stopped hoping",
        "the twins <smile|smiled> the same smile",
        "{p} sister <forgives|forgave> the years apart",
    ],
    echo: [
        "the happy family <sets|set> the {o} on the table together",
        "{s} [hand|hands|handed] the {o} to {p} mother and they <dance|danced> together",
        "the sister <hugs|hugged> the {o} and the family <feasts|feasted>",
        "{p} father <kisses|kissed> the {o} and <smiles|smiled> at the twins",
    ],
    close: [
        "the happy family <feasts|feasted> in the {l}",
        "{s} [dance|dances|danced] with {p} father in the {l}",
        "the twins <sing|sang> together in the {l}",
        "{p} mother and sister <smile|smiled> in the {l}",
    ],
};

const STORM: Beats = Beats {
    opening: [
        "a storm <strikes|struck> the {l} {t} / and {c} [grab|grabs|grabbed] a {a} {o}",
        "{t} thunder <shakes|shook> the {l} / and {c} [grab|grabs|grabbed] a {a} {o}",
        "{t} a flood <drowns|drowned> the {l} / and {c} [save|saves|saved] a {a} {o}",
        "{c} [drag|drags|dragged] a {a} {o} / through a gale in the {l} {t}",
        "{t} the wind <rips|ripped> the {l} / and {c} [save|saves|saved] a {a} {o}",
    ],
    event: [
        "lightning <splits|split> a tree / and the waves <rise|rose>",
        "{s} [row|rows|rowed] a raft / toward a drowning boy",
        "the wind <rips|ripped> the roof / and the flood <rises|rose>",
        "{s} [throw|throws|threw] a rope / to a boy on the raft",
        "thunder <cracks|cracked> / and a boy <clings|clung> to the roof",
    ],
    turn: [
        "the rope <holds|held> / and the boy <is|was> safe",
        "{s} [swim|swims|swam] out / and [rescue|rescues|rescued] the boy",
        "the thunder <fades|faded> / and the raft <floats|floated> in",
        "{s} [drag|drags|dragged] the boy / to dry ground",
        "the gale <drops|dropped> / and the waves <sink|sank>",
    ],
    echo: [
        "after the storm the {o} <hangs|hung> from the rope",
        "the rescued boy <sleeps|slept> on the raft beside the {o}",
        "{s} [dry|dries|dried] the {o} while the flood <sinks|sank>",
        "the sun <dries|dried> the {o} and the roof <is|was> mended",
    ],
    close: [
        "after the storm the whole {l} <is|was> safe",
        "the rescued boy <sleeps|slept> in the dry {l}",
        "the flood <sinks|sank> and the sun <dries|dried> the {l}",
        "the boy <is|was> safe in the {l} again",
    ],
};

const BARGAIN: Beats = Beats {
    opening: [
        "{c} [bargain|bargains|bargained] for a {a} {o} / with a merchant in the {l} {t}",
        "{t} {c} [offer|offers|offered] a {a} {o} / to a merchant in the {l}",
        "{c} [trade|trades|traded] seven goats for a {a} {o} / in the {l} {t}",
        "{t} {c} [buy|buys|bought] a {a} {o} / from a demon in the {l}",
        "{c} [strike|strikes|struck] a deal for a {a} {o} / in the {l} {t}",
    ],
    event: [
        "the merchant <names|named> a price / of three goats",
        "{s} [sign|signs|signed] a contract / and [shake|shakes|shook] hands",
        "the demon <demands|demanded> ten years / as payment",
        "{s} [haggle|haggles|haggled] / and [count|counts|counted] out {p} wages",
        "{s} [count|counts|counted] the goats / and [haggle|haggles|haggled] on",
    ],
    turn: [
        "the price <doubles|doubled> / by sundown",
        "the contract <has|had> a hidden clause",
        "the demon <demands|demanded> more than goats",
        "{s} [refuse|refuses|refused] to pay the full debt",
        "the merchant <doubles|doubled> the offer",
    ],
    echo: [
        "{s} [own|owns|owned] the {o} and [owe|owes|owed] nothing more",
        "the deal <is|was> fair and the {o} <is|was> paid for",
        "{s} [pay|pays|paid] the debt and [keep|keeps|kept] the {o}",
        "the merchant <wraps|wrapped> the {o} and <counts|counted> the wages",
    ],
    close: [
        "{s} [leave|leaves|left] the {l} and [owe|owes|owed] nothing",
        "{s} [burn|burns|burned] the contract in the {l}",
        "the merchant <nods|nodded> and <leaves|left> the {l}",
        "the demon <takes|took> the goats from the {l}",
    ],
};

const BETRAYAL: Beats = Beats {
    opening: [
        "{c} [trust|trusts|trusted] a friend with a {a} {o} / in the {l} {t}",
        "{t} {c} [lend|lends|lent] a {a} {o} / to a jealous cousin in the {l}",
        "{c} [swear|swears|swore] an oath on a {a} {o} / with a friend in the {l} {t}",
        "{t} {c} [catch|catches|caught] a false friend / with a {a} {o} in the {l}",
        "{c} [share|shares|shared] a secret and a {a} {o} / with a cousin in the {l} {t}",
    ],
    event: [
        "the friend <steals|stole> it / and <blames|blamed> a servant",
        "the cousin <cheats|cheated> / and <bribes|bribed> the judge",
        "the friend <sells|sold> every secret / to an enemy",
        "the cousin <whispers|whispered> poison / to the judge",
        "the jealous friend <betrays|betrayed> {m} / to an enemy",
    ],
    turn: [
        "a servant <breaks|broke> the oath too",
        "the judge <believes|believed> the liar",
        "a servant <confesses|confessed> / and the liar <flees|fled>",
        "the jealous cousin <confesses|confessed> / too late",
        "the enemy <betrays|betrayed> the liar too",
    ],
    echo: [
        "the traitor <flees|fled> with the {o} under a cloak",
        "{s} [keep|keeps|kept] the {o} and [trust|trusts|trusted] no friend again",
        "the judge <returns|returned> the {o} and <jails|jailed> the traitor",
        "the stolen {o} <proves|proved> the treason of {p} cousin",
    ],
    close: [
        "the traitor <flees|fled> the {l} under a cloak",
        "{s} [trust|trusts|trusted] no friend in the {l} again",
        "the judge of the {l} <jails|jailed> the traitor",
        "the {l} never <forgives|forgave> such treason",
    ],
};

const TRANSFORMATION: Beats = Beats {
    opening: [
        "{c} [rub|rubs|rubbed] a {a} {o} in the {l} {t} / and [become|becomes|became] a fox",
        "{t} a witch <curses|cursed> a {o} in the {l} / and {c} [become|becomes|became] a swan",
        "{t} {c} [drop|drops|dropped] a {a} {o} in the {l} / and [shrink|shrinks|shrank] to a mouse",
        "{c} [wake|wakes|woke] as a swan in the {l} {t} / beside a cursed {o}",
        "{t} {c} [kiss|kisses|kissed] a {a} {o} in the {l} / and [sprout|sprouts|sprouted] fur",
    ],
    event: [
        "{p} arms <become|became> wings / and {p} skin <sprouts|sprouted> fur",
        "{s} [grow|grows|grew] a tail / and four paws",
        "{p} voice <becomes|became> a bark / and {p} nose <twitches|twitched>",
        "the spell <stretches|stretched> {p} arms / into wings",
        "{p} tail <twitches|twitched> / and {p} paws <grow|grew>",
    ],
    turn: [
        "the witch <brews|brewed> a cure / under the moon",
        "the curse <fades|faded> / at full moon",
        "{s} [love|loves|loved] {p} new shape / most of all",
        "{s} [fly|flies|flew] above the clouds / on new wings",
        "a second spell <undoes|undid> the curse",
    ],
    echo: [
        "the {o} <glows|glowed> and {s} [become|becomes|became] human once more",
        "{s} [keep|keeps|kept] the {o} in {p} furry paws",
        "the spell <breaks|broke> when the {o} <glows|glowed>",
        "{s} [fly|flies|flew] to the moon with the {o} in {p} paws",
    ],
    close: [
        "the spell <breaks|broke> over the {l} at last",
        "{s} [fly|flies|flew] from the {l} to the moon",
        "nobody in the {l} <knows|knew> the fox",
        "the witch of the {l} <undoes|undid> the curse",
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_opening_sets_the_scene_and_only_echoes_return_to_the_object() {
        for plot in Plot::ALL {
            let beats = plot.beats();
            for opening in beats.opening {
                for slot in ["{c}", "{o}", "{l}", "{t}"] {
                    assert!(opening.contains(slot), "{slot} in {opening}");
                }
            }
            assert!(beats.echo.iter().all(|echo| echo.contains("{o}")));
            let silent = [&beats.event[..], &beats.turn, &beats.close].concat();
            assert!(
                silent
                    .iter()
                    .all(|beat| !beat.contains("{o}") && !beat.contains("{c}"))
            );
        }
    }

    #[test]
    fn markup_is_balanced_and_complete() {
        for template in Plot::ALL.iter().flat_map(|plot| plot.beats().templates()) {
            for (open, close, bars) in [('{', '}', 0), ('[', ']', 2), ('<', '>', 1)] {
                for tail in template.split(open).skip(1) {
                    let inner = tail.split(close).next().unwrap();
                    assert!(inner.len() < tail.len(), "{template}");
                    assert_eq!(inner.matches('|').count(), bars, "{template}");
                }
            }
        }
    }
}
