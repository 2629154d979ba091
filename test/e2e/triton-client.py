"""Asks a server through tritonclient.http as its users do, and prints what it got as JSON.

Arguments: host:port, a text, its token ids as JSON.
"""

import json
import sys

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

host, words, ids = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
client = triton.InferenceServerClient(host)
told = {
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "model_ready": client.is_model_ready("spam") and client.is_model_ready("spam", "1"),
    "name": client.get_server_metadata()["name"],
    "slashed": client.get_model_metadata("org/pairs")["name"],
    "dims": client.get_model_config("spam")["input"][0]["dims"],
    "index": [model["name"] for model in client.get_model_repository_index()],
    "stats": client.get_inference_statistics("spam")["model_stats"][0]["name"],
}


def text(values, is_binary=True):
    tensor = triton.InferInput("text", values.shape, "BYTES")
    tensor.set_data_from_numpy(values, binary_data=is_binary)
    return tensor


def scores(**options):
    array = np.array([words], dtype=np.object_)
    return client.infer("spam", [text(array)], **options).as_numpy("score").flatten().tolist()


one = np.array([[words]], dtype=np.object_)
told["label"] = client.infer("spam", [text(one)]).as_numpy("label")[0].decode()
told["ascii"] = client.infer("spam", [text(np.array([words], dtype="S"))]).as_numpy("label")[0].decode()
told["binary"] = scores()
told["gzip"] = scores(request_compression_algorithm="gzip")
told["deflate"] = scores(request_compression_algorithm="deflate")
told["answer_gzip"] = scores(response_compression_algorithm="gzip")
wanted = [triton.InferRequestedOutput("score", binary_data=False)]
told["json"] = client.infer("spam", [text(one, False)], outputs=wanted).as_numpy("score").flatten().tolist()
best = [triton.InferRequestedOutput("score", class_count=1)]
told["classes"] = client.infer("spam", [text(one)], outputs=best).as_numpy("score").flatten()[0].decode()
told["asynchronous"] = client.async_infer("spam", [text(one)]).get_result().as_numpy("label")[0].decode()

tensors = []
for name, row in (("input_ids", ids + [0, 0]), ("attention_mask", [1] * len(ids) + [0, 0])):
    array = np.array([row], dtype=np.int64)
    tensor = triton.InferInput(name, array.shape, "INT64")
    tensor.set_data_from_numpy(array)
    tensors.append(tensor)
told["logits"] = client.infer("spam", tensors, model_version="1").as_numpy("logits").flatten().tolist()

try:
    client.infer("nothing", [text(one)])
except InferenceServerException as error:
    told["unknown"] = error.status()

client.load_model("spam")
client.unload_model("spam")
told["after_unload"] = client.is_model_ready("spam")
client.load_model("spam")
print(json.dumps(told))
