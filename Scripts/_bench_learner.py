"""A peer of graft's that learns, in a process of its own, so that start-up, memory and threads are its alone.

Started by bench_train.py as `_bench_learner.py ENGINE RECIPE SETTINGS.json`; prints one JSON line. Recipes:
  features   the frozen network's answer to every photo, saved
  own        the frameworks' own way: the frozen network runs in every epoch, a linear head learns by Adam
  kept       the same head on features that are computed once, by hand
  finetune   all of the network learns by SGD with momentum, BatchNorm frozen; under WORLD_SIZE, with DDP on gloo
"""
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BEGAN = time.perf_counter()


class Photos:
    """Photos as their network's input, decoded by threads that run ahead of it."""

    def __init__(self, items, network, threads):
        from _bench_peer import prepare

        self.items, self.prepare, self.network, self.pool = items, prepare, network, ThreadPoolExecutor(threads)

    def batches(self, order, size):
        import numpy as np

        decoded = self.pool.map(lambda i: self.prepare(self.items[i][0], self.network), order)
        for start in range(0, len(order), size):
            part = order[start : start + size]
            yield np.stack([next(decoded) for _ in part]), np.array([self.items[i][1] for i in part])


class Torch:
    """PyTorch, eager, channels_last."""

    def __init__(self, settings):
        import torch

        from _bench_peer import torch_model

        torch.set_num_threads(settings["threads"])
        self.torch, self.settings = torch, settings
        self.model = torch_model(settings["network"], Path(settings["backbone"])).to(memory_format=torch.channels_last)

    def input(self, x):
        return self.torch.from_numpy(x).contiguous(memory_format=self.torch.channels_last)

    def features(self, x):
        with self.torch.no_grad():
            return self.model.forward_head(self.model.forward_features(self.input(x)), pre_logits=True)

    def array(self, y):
        return y.numpy()

    def head(self, width, classes):
        torch = self.torch
        self.layer = torch.nn.Linear(width, classes)
        torch.nn.init.xavier_uniform_(self.layer.weight)
        torch.nn.init.zeros_(self.layer.bias)
        self.rule = torch.optim.Adam(self.layer.parameters(), lr=1e-3)

    def learn(self, x, y):
        loss = self.torch.nn.functional.cross_entropy(self.layer(x), self.torch.from_numpy(y))
        self.rule.zero_grad()
        loss.backward()
        self.rule.step()

    def scores(self, x):
        with self.torch.no_grad():
            return self.layer(x).numpy()

    def rows(self, kept, index):
        return kept[index]

    def keep(self, parts):
        return self.torch.cat(parts)


class Keras:
    """Keras on TensorFlow: the network as graft writes it for Keras, steps through tf.function."""

    def __init__(self, settings):
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(settings["threads"])
        tf.config.threading.set_inter_op_parallelism_threads(1)
        import keras

        self.tf, self.keras = tf, keras
        model = keras.models.load_model(settings["keras"], compile=False)
        model.trainable = False
        self.run = tf.function(lambda x: model(x, training=False), reduce_retracing=True)

    def features(self, x):
        return self.run(self.tf.constant(x.transpose(0, 2, 3, 1)))

    def array(self, y):
        return y.numpy()

    def head(self, width, classes):
        keras = self.keras
        self.layer = keras.Sequential([keras.Input((width,)), keras.layers.Dense(classes)])
        self.layer.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def learn(self, x, y):
        self.layer.train_on_batch(x, y)

    def scores(self, x):
        return self.layer.predict_on_batch(x)

    def rows(self, kept, index):
        return self.tf.gather(kept, index)

    def keep(self, parts):
        return self.tf.concat(parts, 0)


def accuracy(engine, batches):
    right = total = 0
    for x, y in batches:
        right += int((engine.scores(x).argmax(1) == y).sum())
        total += len(y)
    return right / total


def head(engine, recipe, settings, training, validation):
    """A linear head by Adam, 32 photos a step; the accuracy after every epoch and when it was known."""
    import numpy as np

    random, curve = np.random.default_rng(settings["seed"]), []
    (train, held), every = (list(range(len(p.items))) for p in (training, validation)), None
    if recipe == "kept":
        every = [engine.keep([engine.features(x) for x, _ in p.batches(o, 32)]) for p, o in ((training, train), (validation, held))]
        truth = [np.array([label for _, label in p.items]) for p in (training, validation)]
    engine.head(settings["width"], settings["classes"])
    for _ in range(settings["epochs"]):
        order = random.permutation(len(train))
        if every is None:
            for x, y in training.batches(list(order), 32):
                engine.learn(engine.features(x), y)
            answers = ((engine.features(x), y) for x, y in validation.batches(held, 32))
        else:
            for start in range(0, len(order), 32):
                part = order[start : start + 32]
                engine.learn(engine.rows(every[0], part), truth[0][part])
            answers = [(every[1], truth[1])]
        curve.append([time.perf_counter() - BEGAN, accuracy(engine, answers)])
    return curve


def finetune(engine, settings, training, validation):
    """All learns; with several processes each takes every Nth photo of a batch, as graft's do."""
    import numpy as np

    torch, model = engine.torch, engine.model
    rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    model.classifier = torch.nn.Linear(settings["width"], settings["classes"])
    model.eval()  # BatchNorm as in prediction
    learner = model
    if size > 1:
        torch.distributed.init_process_group("gloo")
        learner = torch.nn.parallel.DistributedDataParallel(model)
    rule = torch.optim.SGD(model.parameters(), lr=settings["rate"], momentum=0.9)
    random, curve = np.random.default_rng(settings["seed"]), []
    for _ in range(settings["epochs"]):
        order = random.permutation(len(training.items))
        order = order[: len(order) // settings["batch"] * settings["batch"]]
        for x, y in training.batches(list(order[rank::size]), settings["batch"] // size):
            loss = torch.nn.functional.cross_entropy(learner(engine.input(x)), torch.from_numpy(y))
            rule.zero_grad()
            loss.backward()
            rule.step()
        right = 0
        with torch.no_grad():
            for x, y in validation.batches(list(range(len(validation.items)))[rank::size], 16):
                right += int((model(engine.input(x)).argmax(1).numpy() == y).sum())
        counts = torch.tensor([float(right)])
        if size > 1:
            torch.distributed.all_reduce(counts)
        curve.append([time.perf_counter() - BEGAN, float(counts[0]) / len(validation.items)])
    return curve


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print is no answer
    name, recipe, path = sys.argv[1:]
    settings = json.loads(Path(path).read_text())
    engine = {"PyTorch": Torch, "Keras": Keras}[name](settings)
    training, validation = (Photos(settings[k], settings["network"], settings["threads"]) for k in ("training", "validation"))
    ready, answer = time.perf_counter() - BEGAN, {}
    if recipe == "features":
        import numpy as np

        np.save(settings["output"], np.concatenate([np.array(engine.array(engine.features(x))) for x, _ in training.batches(list(range(len(training.items))), 8)]))
    elif recipe == "finetune":
        answer["curve"] = finetune(engine, settings, training, validation)
    else:
        answer["curve"] = head(engine, recipe, settings, training, validation)
    print(json.dumps(answer | {"ready": ready, "seconds": time.perf_counter() - BEGAN}), file=answers, flush=True)


main()
