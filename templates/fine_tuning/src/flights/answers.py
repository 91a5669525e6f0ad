"""Answers about flights, by a language model that is fine-tuned on them.

The base model of this file is tiny, so that the whole road can be walked on a
laptop and in a merge request: it predicts the next word from the words so far, by
one layer of weights over hashed words. A large one takes its place in `BASES`;
whatever has `fine_tune`, `answer` and `surprise` will do.
"""

import zlib

import numpy as np
import pandas as pd

SLOTS = 4096
END = "."
WORDS = [END, "late", "on", "time", "early"]

# What a base model has read before it sees the first flight.
_READ = [
    ("morning flight clear sky", "on time"),
    ("morning flight rain", "on time"),
    ("evening flight rain strong wind", "late"),
    ("night flight storm", "late"),
    ("short morning flight", "early"),
]


def prompts(rows: pd.DataFrame) -> list[str]:
    """One question per flight, as a traveller would ask it."""
    part = pd.cut(rows["hour"], [-1, 8, 12, 17, 20, 24], labels=["early morning", "morning", "afternoon", "evening", "night"])
    sky = np.where(rows["precip"].fillna(0) > 0, "rain", "no rain")
    wind = np.where(rows["wind_speed"].fillna(0) > 15, "strong wind", "calm wind")
    sight = np.where(rows["visib"].fillna(10) < 5, "poor sight", "good sight")
    return [
        f"{when} flight of {carrier} from {origin} hour {hour:.0f} {water} {air} {view} when does it arrive"
        for when, carrier, origin, hour, water, air, view in zip(part, rows["carrier"], rows["origin"], rows["hour"], sky, wind, sight)
    ]


def expected(rows: pd.DataFrame) -> list[str]:
    return ["late" if late else "on time" for late in rows["late"]]


class TinyModel:
    """Weights from hashed words to the next word."""

    def __init__(self, weights: np.ndarray | None = None):
        self.weights = np.zeros((SLOTS, len(WORDS))) if weights is None else weights

    @classmethod
    def base(cls) -> "TinyModel":
        model = cls()
        model.fine_tune(*zip(*_READ), epochs=20, rate=0.1)
        return model

    def fine_tune(self, prompts, answers, epochs: int, rate: float = 0.02) -> list[float]:
        """The mean surprise per word, in nats, after each epoch."""
        steps = [step for prompt, answer in zip(prompts, answers) for step in _steps(prompt, answer)]
        order = np.random.default_rng(7)
        losses = []
        for _ in range(epochs):
            total = 0.0
            for at in order.permutation(len(steps)):
                slots, word = steps[at]
                chances = self._chances(slots)
                total -= np.log(chances[word])
                chances[word] -= 1.0
                self.weights[slots] -= rate * chances
            losses.append(total / max(len(steps), 1))
        return losses

    def answer(self, prompts) -> list[str]:
        return [self._answer(prompt) for prompt in prompts]

    def surprise(self, prompts, answers) -> list[float]:
        """Per answer, the mean surprise of its words, in nats."""
        told = []
        for prompt, answer in zip(prompts, answers):
            steps = _steps(prompt, answer)
            told.append(float(np.mean([-np.log(self._chances(slots)[word]) for slots, word in steps])))
        return told

    def _chances(self, slots) -> np.ndarray:
        scores = self.weights[slots].sum(axis=0)
        chances = np.exp(scores - scores.max())
        return chances / chances.sum()

    def _answer(self, prompt: str) -> str:
        said: list[str] = []
        while len(said) < 4:
            word = WORDS[int(np.argmax(self._chances(_slots(prompt, said))))]
            if word == END:
                break
            said.append(word)
        return " ".join(said)


BASES = {"tiny": TinyModel.base}


def base(name: str):
    if name not in BASES:
        raise SystemExit(f"no base model is called {name}: {', '.join(BASES)}; a loader of yours goes into BASES")
    return BASES[name]()


def _slots(prompt: str, said: list[str]) -> np.ndarray:
    last = said[-1] if said else "<start>"
    words = [f"{last}|{word}" for word in prompt.lower().split()] + [f"last {last}"]
    # The same on every machine, which `hash` is not.
    return np.unique([zlib.crc32(word.encode()) % SLOTS for word in words])


def _steps(prompt: str, answer: str):
    words = answer.split() + [END]
    return [(_slots(prompt, words[:at]), WORDS.index(word)) for at, word in enumerate(words)]
