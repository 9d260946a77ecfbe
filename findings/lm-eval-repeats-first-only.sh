#!/usr/bin/env bash
# lm-eval generates `repeats` responses and scores the first.
#
# Good guess:  repeats: 4 in a task averages the metric over four samples, as the word and the four-fold
#              number of requests suggest.
# What happens: without a filter_list the default filter take_first keeps one response per document. All
#              four are generated and written to the samples file, one counts.
# Seen with:   lm-eval 0.4.13.
# Hurts:       whoever raises repeats to tame the noise of sampling: four times the price, the same noise.
# Do:          give the task a filter_list (take_first_k, majority_vote), or score `resps` of the samples file.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export HF_HOME="$dir/hf" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q lm-eval==0.4.13
mkdir tasks
cat >tasks/sums.yaml <<'EOF'
task: sums
dataset_path: json
dataset_kwargs: {data_files: {test: sums.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
repeats: 4
generation_kwargs: {do_sample: true, temperature: 1.0, until: ["\n"]}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
EOF
echo '{"question": "2+2=", "answer": "4"}' >sums.jsonl
venv/bin/python - 2>log <<'EOF' || { cat log; exit 1; }
from importlib.metadata import version
import lm_eval
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

class Sampled(LM):
    def __init__(self, answers):
        super().__init__()
        self.answers = answers
    def generate_until(self, requests):
        assert len(requests) == len(self.answers)
        return list(self.answers)
    def loglikelihood(self, requests):
        raise NotImplementedError
    loglikelihood_rolling = loglikelihood

print("lm-eval", version("lm-eval"))
for answers, score in ((["5", "4", "4", "4"], 0.0), (["4", "5", "5", "5"], 1.0)):
    tasks = TaskManager(include_path="tasks", include_defaults=False)
    result = lm_eval.simple_evaluate(model=Sampled(answers), tasks=["sums"], task_manager=tasks,
                                     bootstrap_iters=0, log_samples=True)
    sample, found = result["samples"]["sums"][0], result["results"]["sums"]["exact_match,none"]
    print(f"responses {sample['resps'][0]}, kept {sample['filtered_resps']}, exact_match {found}")
    assert sample["resps"] == [answers] and sample["filtered_resps"] == answers[:1] and found == score
EOF
