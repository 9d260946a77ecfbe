"""Chat templates in the manner of other model families, each using Jinja features that real checkpoints use."""

from datetime import datetime
from unittest.mock import patch

LLAMA3 = """{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\nToday Date: " + date_string + "\\n\\n" + system_message + "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

MISTRAL = """{%- if messages[0].role == "system" %}
    {%- set system_message = messages[0].content %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Roles must alternate user/assistant/user/assistant/...') }}
    {%- endif %}
    {%- if message.role == 'user' %}
        {%- if loop.last and system_message is defined %}
            {{- '[INST] ' + system_message + '\\n\\n' + message.content + '[/INST]' }}
        {%- else %}
            {{- '[INST] ' + message.content + '[/INST]' }}
        {%- endif %}
    {%- else %}
        {{- ' ' + message.content.strip() + eos_token }}
    {%- endif %}
{%- endfor %}
"""

GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}"
)

# Lines and indentation that only vanish with trim_blocks and lstrip_blocks, which transformers sets.
BLOCKS = """{% for message in messages %}
    {% if message.role == 'user' %}
<|user|>
{{ message.content }}{{ eos_token }}
    {% elif message.get('content', '').split(' ') | length > 1 %}
<|{{ message.role | upper }}|>
{{ message | tojson }}
    {% endif %}
    {% if loop.last and add_generation_prompt %}
<|assistant|>
    {% endif %}
{% endfor %}
"""

# State carried out of a loop, reversed slices, string methods, tests and inline conditions.
NAMESPACE = """{%- set ns = namespace(last=-1, turns=0) -%}
{%- for m in messages[::-1] -%}
  {%- set index = (messages | length - 1) - loop.index0 -%}
  {%- if ns.last < 0 and m.role == "user" and not (m.content.startswith('<tool>') and m.content.endswith('</tool>')) -%}
    {%- set ns.last = index -%}
  {%- endif -%}
  {%- if m.role in ['user', 'assistant'] -%}{%- set ns.turns = ns.turns + 1 -%}{%- endif -%}
{%- endfor -%}
{%- for m in messages -%}
{{ m.role.title() }}{{ '*' if loop.index0 == ns.last else '' }}: {{ m.content if m.content is string and m.content else '(none)' }}
{{- '\\n' if not loop.last -}}
{%- endfor -%}
{#- a comment -#}
{{- "\\n[%d]" | format(ns.turns) ~ (tools | length if tools is not none and tools is defined else 0) }}
"""

# A variable that callers set, thoughts cut out of earlier answers, and a reply opened for the model.
THINKING = """{%- set ns = namespace(last=0) %}
{%- for message in messages %}
    {%- if message.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if message.role == 'assistant' %}
        {%- if '</think>' in content %}
            {%- set thoughts = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last and thoughts is defined %}
            {{- '<|im_start|>assistant\\n<think>\\n' + thoughts.strip('\\n') + '\\n</think>\\n\\n' + content }}
        {%- else %}
            {{- '<|im_start|>assistant\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' ~ message.role ~ '\\n' ~ content ~ '<|im_end|>' ~ '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}
"""

DATED = """{%- if date_string is not defined %}
    {%- if strftime_now is defined %}{%- set date_string = strftime_now("%d %b %Y") %}{%- else %}{%- set date_string = "26 Jul 2024" %}{%- endif %}
{%- endif %}
{{- bos_token ~ 'Today: ' ~ date_string ~ ', at ' ~ strftime_now('%H:%M:%S, %A') }}
{%- for message in messages %}{{ '\n' ~ message.role ~ ': ' ~ message.content }}{% endfor %}
"""

JSON = """{% for message in messages %}
{{ message | tojson }}
{{ message | tojson(indent=2) }}
{{ message | tojson(ensure_ascii=true, sort_keys=true, separators=(',', ':')) }}
{% endfor %}
{{ {'tools': tools, 'numbers': [1, -2.5, true, none], 'empty': [], 'nested': {'a': {}, 'b': [[]]}} | tojson(indent=1) }}
{{ extra | default({}) | tojson }}
"""

# Loop controls, macros with defaults, filters over lists, slices, whitespace control.
LOOPS = """{%- macro turn(role, content, end='<|im_end|>') -%}
[{{ role | upper | trim }}] {{ content[:12] }}{{ '...' if content | length > 12 }}{{ end }}
{%- endmacro -%}
{%- for message in messages -%}
    {%- if message.role == 'system' -%}{%- continue -%}{%- endif -%}
    {%- if loop.index > 3 -%}{{ '(' ~ loop.length ~ ')' }}{%- break -%}{%- endif -%}
    {{ turn(message.role, message.content) if loop.first else turn(message.role, message['content'], end='|') }}
{%- endfor %}
{{ messages | map(attribute='role') | unique | join(',') }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }}
{{ messages[-1].content[-3:] | replace('\n', '/') }}{{ messages[::-1][0]['role'] | capitalize }}{{ 7 // 2 }}{{ 7 % 4 }}{{ 2 ** 3 }}
{%- filter upper %} done {% endfilter -%}
{%- set block %}{% for i in range(3) if i != 1 %}{{ i }}{{ ';' if not loop.last }}{% endfor %}{% endset -%}
{{- block | trim }}{{ ('a' in 'cat') and not ('b' in ['a', 'c']) }}
{%- for key, value in {'b': 1, 'a': 2} | dictsort %} {{ key }}={{ value }}{% endfor %}
{%- for key, value in {'b': 1, 'a': 2}.items() %} {{ key }}={{ value }}{% endfor %}
{{ unknown is undefined }}{{ unknown }}{{ none is none }}{{ 1 is number }}{{ messages is iterable and messages is not mapping and messages is not string }}
{{ "%s has %d" | format(messages[0].role, messages | length) }} {{ 'a\nb' | indent(2) }} {{ ['x', 'y'] | last }} {{ '  x ' | trim ~ '!' }}
"""

TEMPLATES = {
    "llama3": LLAMA3,
    "mistral": MISTRAL,
    "gemma": GEMMA,
    "blocks": BLOCKS,
    "namespace": NAMESPACE,
    "thinking": THINKING,
    "dated": DATED,
    "json": JSON,
    "loops": LOOPS,
}
# Beside no variables at all.
KWARGS = {
    "thinking": [{"enable_thinking": False}, {"enable_thinking": True}],
    "dated": [{"date_string": "1 Jan 2000"}, {"bos_token": "<other>"}],
    "json": [{"extra": {"list": ["ü", 1], "flag": False}}],
}
THOUGHTS = [
    {"role": "user", "content": "One"},
    {"role": "assistant", "content": "<think>\nhm\n</think>\n\nTwo"},
    {"role": "user", "content": "Three"},
    {"role": "assistant", "content": "<think>\n\nhm, hm\n</think>\n\nFour"},
]
# What `strftime_now` says.
NOW = datetime(2024, 7, 6, 9, 5, 3)


def render(tokenizer, template: str, messages: list[dict], generation: bool, kwargs: dict) -> dict:
    """The rendered text, or the message with which the template refuses the conversation."""
    try:
        with patch("transformers.utils.chat_template_utils.datetime") as clock:
            clock.now.return_value = NOW
            text = tokenizer.apply_chat_template(
                messages, chat_template=template, tokenize=False, add_generation_prompt=generation, **kwargs
            )
        return {"text": text}
    except Exception as error:  # the class depends on the Jinja release
        return {"error": str(error)}


def template_cases(tokenizer, chats: list[list[dict]]) -> list[dict]:
    """Every template on every conversation, and with each of its variables."""
    return [
        {
            "name": name,
            "template": template,
            "bos_token": tokenizer.bos_token,
            "eos_token": tokenizer.eos_token,
            "cases": [
                {"messages": messages, "add_generation_prompt": generation, "kwargs": kwargs}
                | render(tokenizer, template, messages, generation, kwargs)
                for kwargs in [{}] + KWARGS.get(name, [])
                for messages in chats + ([THOUGHTS] if name == "thinking" else [])
                for generation in (False, True)
            ],
        }
        for name, template in TEMPLATES.items()
    ]
