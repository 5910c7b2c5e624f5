"""The bench's networks in other frameworks, measured on request.

    python -m venv peers
    peers/bin/pip install torch torchvision tensorflow-cpu keras onnx onnxscript onnxruntime
    cargo xtask bench --peers peers/bin/python

`cargo xtask bench` starts this once for each framework and sends one JSON object a line on standard
input: {"net": ..., "mode": "train" | "infer" | "latency", "seconds": ...}. Each is answered by one line:
{"rate": images per second} or {"milliseconds": median of one image}, with "peak_mb", the process's peak
resident memory so far. The script builds the networks from scratch; nothing is downloaded.
"""

import json
import os
import statistics
import sys
import time

THREADS = int(os.environ.get("BENCH_THREADS", "2"))
os.environ["OMP_NUM_THREADS"] = str(THREADS)
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["KERAS_BACKEND"] = "tensorflow"

# net: (input side, classes, batch, optimizer)
NETS = {
    "lenet5": (28, 47, 256, "adam"),
    "bn-cnn": (28, 10, 100, "momentum"),
    "residual": (28, 62, 500, "nadam"),
    "resnet50": (32, 62, 64, "adam"),
    "custom-vgg": (28, 47, 128, "adam"),
}
INFERENCE_BATCH = 256


def torch_net(name):
    import torch
    import torch.nn as nn
    import torch.nn.functional as F

    side, classes, _, _ = NETS[name]
    if name == "lenet5":
        return nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, classes))
    if name == "bn-cnn":
        return nn.Sequential(
            nn.Conv2d(1, 30, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(4320, 100), nn.BatchNorm1d(100, eps=1e-6), nn.ReLU(), nn.Linear(100, classes))
    if name == "custom-vgg":
        layers, c = [], 1
        for f in (64, 128, 256):
            for _ in range(2):
                layers += [nn.Conv2d(c, f, 3, padding=1), nn.ReLU()]
                c = f
            layers.append(nn.MaxPool2d(2))
        return nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(2304, 1024), nn.ReLU(), nn.Dropout(0.5),
            nn.Linear(1024, 512), nn.ReLU(), nn.Linear(512, classes))
    if name == "resnet50":
        from torchvision.models import resnet50
        net = resnet50(num_classes=classes)
        net.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
        return net

    def norm(f):
        return nn.BatchNorm2d(f, eps=1e-3, momentum=0.01)

    class Unit(nn.Module):
        def __init__(self, c, f):
            super().__init__()
            self.a, self.b = nn.Conv2d(c, f, 3, padding=1), nn.Conv2d(f, f, 3, padding=1)
            self.s = nn.Conv2d(c, f, 1)
            self.na, self.nb, self.ns = norm(f), norm(f), norm(f)

        def forward(self, x):
            body = self.nb(self.b(F.silu(self.na(self.a(x)))))
            return F.silu(body + self.ns(self.s(x)))

    layers = [nn.Conv2d(1, 32, 3, padding=1), norm(32), nn.SiLU(), nn.Dropout(0.3), nn.AvgPool2d(2)]
    c = 32
    for f in (64, 128, 256):
        layers += [Unit(c, f), nn.Dropout(0.3), nn.AvgPool2d(2, ceil_mode=True)]
        c = f
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(1024, 512), nn.BatchNorm1d(512, eps=1e-3, momentum=0.01),
        nn.SiLU(), nn.Dropout(0.6), nn.Linear(512, classes))


def keras_net(name):
    import keras
    from keras import layers as L

    side, classes, _, _ = NETS[name]
    x = inputs = keras.Input((side, side, 1))
    if name == "lenet5":
        x = L.MaxPooling2D(2)(L.Conv2D(6, 5, padding="same", activation="relu")(x))
        x = L.Flatten()(L.MaxPooling2D(2)(L.Conv2D(16, 5, activation="relu")(x)))
        x = L.Dense(84, activation="relu")(L.Dense(120, activation="relu")(x))
    elif name == "bn-cnn":
        x = L.Flatten()(L.MaxPooling2D(2)(L.Conv2D(30, 5, activation="relu")(x)))
        x = L.Activation("relu")(L.BatchNormalization(epsilon=1e-6, momentum=0.9)(L.Dense(100)(x)))
    elif name == "custom-vgg":
        for f in (64, 128, 256):
            for _ in range(2):
                x = L.Conv2D(f, 3, padding="same", activation="relu")(x)
            x = L.MaxPooling2D(2)(x)
        x = L.Dropout(0.5)(L.Dense(1024, activation="relu")(L.Flatten()(x)))
        x = L.Dense(512, activation="relu")(x)
    elif name == "resnet50":
        return keras.applications.ResNet50(weights=None, input_shape=(side, side, 1), classes=classes)
    else:
        def norm(x):
            return L.BatchNormalization()(x)

        x = L.AveragePooling2D(2)(L.Dropout(0.3)(L.Activation("swish")(norm(L.Conv2D(32, 3, padding="same")(x)))))
        for f in (64, 128, 256):
            body = L.Activation("swish")(norm(L.Conv2D(f, 3, padding="same")(x)))
            body = norm(L.Conv2D(f, 3, padding="same")(body))
            x = L.Activation("swish")(L.Add()([body, norm(L.Conv2D(f, 1)(x))]))
            x = L.AveragePooling2D(2, padding="same")(L.Dropout(0.3)(x))
        x = L.Dropout(0.6)(L.Activation("swish")(norm(L.Dense(512)(L.Flatten()(x)))))
    return keras.Model(inputs, L.Dense(classes)(x))


def repeat(seconds, step):
    """Calls of `step` in about `seconds`, after warming up; returns the median time of one."""
    for _ in range(2):
        step()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


class Torch:
    def __init__(self, compiled):
        import torch
        torch.set_num_threads(THREADS)
        torch.manual_seed(1)
        self.torch, self.compiled, self.kept = torch, compiled, {}

    def net(self, name, training):
        if (name, training) not in self.kept:
            net = torch_net(name)
            net.train(training)
            self.kept[name, training] = (self.torch.compile(net) if self.compiled else net), net
        return self.kept[name, training]

    def measure(self, name, mode, seconds):
        torch = self.torch
        side, classes, batch, optimizer = NETS[name]
        call, net = self.net(name, mode == "train")
        if mode != "train":
            n = 1 if mode == "latency" else INFERENCE_BATCH
            x = torch.rand(n, 1, side, side)
            with torch.inference_mode():
                return n, repeat(seconds, lambda: call(x))
        x, y = torch.rand(batch, 1, side, side), torch.randint(0, classes, (batch,))
        parameters = net.parameters()
        rule = {
            "adam": lambda: torch.optim.Adam(parameters, 1e-3),
            "nadam": lambda: torch.optim.NAdam(parameters, 1e-3),
            "momentum": lambda: torch.optim.SGD(parameters, 0.1, momentum=0.9),
        }[optimizer]()

        def step():
            rule.zero_grad()
            torch.nn.functional.cross_entropy(call(x), y).backward()
            rule.step()

        return batch, repeat(seconds, step)


class Keras:
    def __init__(self):
        import tensorflow as tf
        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        tf.config.threading.set_inter_op_parallelism_threads(THREADS)
        self.tf, self.kept = tf, {}

    def measure(self, name, mode, seconds):
        import keras
        import numpy as np
        side, classes, batch, optimizer = NETS[name]
        if name not in self.kept:
            net = keras_net(name)
            rule = {
                "adam": lambda: keras.optimizers.Adam(1e-3),
                "nadam": lambda: keras.optimizers.Nadam(1e-3),
                "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
            }[optimizer]()
            net.compile(rule, keras.losses.SparseCategoricalCrossentropy(from_logits=name != "resnet50"))
            self.kept[name] = net, self.tf.function(lambda x: net(x, training=False))
        net, forward = self.kept[name]
        n = {"train": batch, "infer": INFERENCE_BATCH, "latency": 1}[mode]
        x = np.random.rand(n, side, side, 1).astype("float32")
        if mode != "train":
            x = self.tf.constant(x)
            return n, repeat(seconds, lambda: forward(x).numpy())
        y = np.random.randint(0, classes, n)
        # As a user trains: several batches in one call.
        steps = max(2, int({"lenet5": 8192, "bn-cnn": 8192}.get(name, 512) / n))
        xs, ys = np.concatenate([x] * steps), np.concatenate([y] * steps)
        data = self.tf.data.Dataset.from_tensor_slices((xs, ys)).batch(n).cache().prefetch(2)
        return n * steps, repeat(seconds, lambda: net.fit(data, epochs=1, verbose=0))


class Onnx:
    def __init__(self):
        self.kept = {}

    def measure(self, name, mode, seconds):
        import onnxruntime
        import tempfile
        import torch
        if mode == "train":
            return None
        side = NETS[name][0]
        n = 1 if mode == "latency" else INFERENCE_BATCH
        if (name, n) not in self.kept:
            net = torch_net(name).eval()
            path = os.path.join(tempfile.mkdtemp(), "net.onnx")
            torch.onnx.export(net, (torch.rand(n, 1, side, side),), path, dynamo=False)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = THREADS
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            self.kept[name, n] = session, session.get_inputs()[0].name
        session, key = self.kept[name, n]
        x = torch.rand(n, 1, side, side).numpy()
        return n, repeat(seconds, lambda: session.run(None, {key: x}))


def versions():
    from importlib import metadata
    found = {}
    for package in ("torch", "torchvision", "tensorflow-cpu", "keras", "onnxruntime"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            pass
    return found


def peak_mb():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return None


def main():
    framework = sys.argv[1]
    # Frameworks print to standard output; answers go to the real one.
    answers, sys.stdout = os.fdopen(os.dup(1), "w"), sys.stderr
    os.dup2(2, 1)
    worker = {
        "torch": lambda: Torch(False),
        "torch-compile": lambda: Torch(True),
        "keras": Keras,
        "onnxruntime": Onnx,
    }[framework]()
    print(json.dumps({"ready": framework, "versions": versions()}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            result = worker.measure(request["net"], request["mode"], request["seconds"])
            if result is None:
                answer = {"skipped": True}
            elif request["mode"] == "latency":
                answer = {"milliseconds": result[1] * 1e3}
            else:
                answer = {"rate": result[0] / result[1]}
        except Exception as error:  # one network that a framework cannot run must not end the bench
            answer = {"error": f"{type(error).__name__}: {error}"}
        answer["peak_mb"] = peak_mb()
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
