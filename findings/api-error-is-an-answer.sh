#!/usr/bin/env bash
# The clients of OpenAI and Anthropic return an error as if it were an answer.
#
# Good guess:  a failed request raises, so what create() returns is a completion.
# What happens: the status code alone decides. A gateway that answers 200 with {"error": ...} in the body
#              gives a ChatCompletion whose choices are None, and a Message whose content is None. A 200
#              with HTML (a login page, a base_url without /v1) gives a plain str. In OpenAI's client
#              the same error raises APIError when it is streamed.
# Seen with:   openai 3.57.0, anthropic 2.14.0.
# Hurts:       batch sampling behind a proxy: retries are skipped, and the failure shows up far away as
#              "'NoneType' object is not subscriptable", or not at all where code reads `choices or []`.
# Do:          check that the result has choices (content) before using it; treat anything else as a failure
#              that may be retried.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q openai==3.57.0 anthropic==2.14.0 httpx==0.28.1
venv/bin/python - <<'EOF'
import json, anthropic, httpx, httpx2, openai

print("openai", openai.__version__, "anthropic", anthropic.__version__)
error = {"error": {"type": "overloaded_error", "message": "upstream is overloaded"}}
messages = [{"role": "user", "content": "hi"}]

def openai_gets(stream=False, **body):
    transport = httpx.MockTransport(lambda _: httpx.Response(200, **body))
    client = openai.OpenAI(api_key="-", base_url="http://gateway/v1",
                           http_client=httpx.Client(transport=transport))
    return client.chat.completions.create(model="m", messages=messages, stream=stream)

def anthropic_gets(**body):
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, **body))
    client = anthropic.Anthropic(api_key="-", base_url="http://gateway",
                                 http_client=httpx2.Client(transport=transport))
    return client.messages.create(model="m", max_tokens=8, messages=messages)

answer, message = openai_gets(json=error), anthropic_gets(json={"type": "error"} | error)
print(f"openai:    {type(answer).__name__} choices={answer.choices} error={answer.error}")
print(f"anthropic: {type(message).__name__} content={message.content} error={message.error}")
assert answer.choices is None and message.content is None
pages = openai_gets(html="<html>log in</html>"), anthropic_gets(html="<html>log in</html>")
print("HTML:     ", *(f"{type(page).__name__} {page!r}" for page in pages))
assert all(type(page) is str for page in pages)
try:
    for _ in openai_gets(stream=True, text=f"data: {json.dumps(error)}\n\n",
                         headers={"content-type": "text/event-stream"}):
        pass
    raise SystemExit("the streamed error no longer raises")
except openai.APIError as raised:
    print("streamed:  APIError", raised)
EOF
