"""The OpenAI client, as anybody uses it: asks each question and prints one JSON line per answer."""

import json
import os
import sys
import time
import urllib.request

from openai import OpenAI

base, model, *questions = sys.argv[1:]
key = os.environ["LOCKGATE_API_KEY"]
client = OpenAI(base_url=base, api_key=key)
for question in questions:
    begun = time.monotonic()
    text, extra = "", {}
    stream = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": question}], temperature=0, stream=True
    )
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            text += chunk.choices[0].delta.content
        extra = (chunk.model_extra or {}).get("lockgate") or extra
    seconds = time.monotonic() - begun
    request = urllib.request.Request(
        f"{base}/lockgate/receipts/{extra['receipt']}", headers={"Authorization": f"Bearer {key}"}
    )
    with urllib.request.urlopen(request) as answer:
        receipt = json.load(answer)
    line = {"text": text, "seconds": seconds, "lockgate": extra, "receipt": receipt}
    print(json.dumps(line), flush=True)
