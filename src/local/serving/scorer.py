"""Answers requests to one model version: a line of JSON in, a line of JSON out.

It ends when its input closes.
"""

import io
import json
import os
import sys

# Whatever the model prints goes to the log: lines of the protocol are ours alone.
replies = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def reply(fields):
    replies.write(json.dumps(fields) + "\n")
    replies.flush()


def answer(model, text, tools):
    try:
        parsed = tools._parse_json_data(text, model.metadata, model.metadata.get_input_schema())
        predicted = model.predict(parsed.data, params=parsed.params)
        written = io.StringIO()
        if parsed.is_unified_llm_input:
            tools.unwrapped_predictions_to_json(predicted, written)
        else:
            tools.predictions_to_json(predicted, written)
        return {"status": 200, "body": written.getvalue()}
    except Exception as error:
        fault = {"error_code": "BAD_REQUEST", "message": f"{type(error).__name__}: {error}"}
        return {"status": 400, "body": json.dumps(fault)}


def main():
    try:
        import mlflow.pyfunc
        from mlflow.pyfunc import scoring_server as tools

        model = mlflow.pyfunc.load_model(sys.argv[1])
    except BaseException as error:
        reply({"error": f"{type(error).__name__}: {error}"})
        raise SystemExit(1)
    reply({"ready": True})
    for line in sys.stdin:
        reply(answer(model, json.loads(line)["body"], tools))


main()
