"""Chat templates in the manner of other model families, each using Jinja features that real checkpoints use."""

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

TEMPLATES = {"llama3": LLAMA3, "mistral": MISTRAL, "gemma": GEMMA, "blocks": BLOCKS, "namespace": NAMESPACE}


def render(tokenizer, template: str, messages: list[dict], generation: bool) -> dict:
    """The rendered text, or the message with which the template refuses the conversation."""
    try:
        return {
            "text": tokenizer.apply_chat_template(
                messages, chat_template=template, tokenize=False, add_generation_prompt=generation
            )
        }
    except Exception as error:  # the class depends on the Jinja release
        return {"error": str(error)}


def template_cases(tokenizer, chats: list[list[dict]]) -> list[dict]:
    """Every template on every conversation."""
    return [
        {
            "name": name,
            "template": template,
            "bos_token": tokenizer.bos_token,
            "eos_token": tokenizer.eos_token,
            "cases": [
                {"messages": messages, "add_generation_prompt": generation} | render(tokenizer, template, messages, generation)
                for messages in chats
                for generation in (False, True)
            ],
        }
        for name, template in TEMPLATES.items()
    ]
