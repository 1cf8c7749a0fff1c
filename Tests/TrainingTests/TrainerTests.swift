// The run as a whole on drawn photos: resuming, caching, and what must not change.

import Foundation
import GraftImages
import GraftNetworks
import GraftTensors
import GraftTraining
import OrderedCollections
import Synchronization
import Testing

/// A folder of photos in two colours, and a backbone of one convolution.
private struct Scene {
    let folder: String
    let photos: PhotoFolder
    let graph: Graph
    var weights: StateDict

    init(norm: Bool = false) throws {
        folder = NSTemporaryDirectory() + "graft-training-\(UUID().uuidString)"
        for (name, color) in [("red", Color(220, 30, 40)), ("sky", Color(60, 90, 230))] {
            try FileManager.default.createDirectory(
                atPath: "\(folder)/photos/\(name)", withIntermediateDirectories: true)
            for index in 0..<7 {
                let shade = color.mixed(with: .black, Double(index) / 10)
                try Image(width: 12, height: 10, color: shade)
                    .writePNG(to: "\(folder)/photos/\(name)/\(index).png")
            }
        }
        photos = try PhotoFolder.scan(folder + "/photos")
        let kernel = Parameter(name: "stem.weight", shape: [3, 3, 1, 1], role: .kernel)
        let vectors = ["weight", "bias", "running_mean", "running_var"].map { "norm.\($0)" }
        let roles: [Parameter.Role] = [.scale, .shift, .runningMean, .runningVariance]
        let middle = Node(
            name: "norm", op: .batchNorm(epsilon: 1e-3, momentum: 0.1), inputs: [1],
            parameters: zip(vectors, roles).map { Parameter(name: $0, shape: [3], role: $1) },
            stage: "stem")
        let last = norm ? 2 : 1
        graph = Graph(
            name: "tiny",
            nodes: [
                Node(name: "image", op: .input(channels: 3), inputs: []),
                Node(
                    name: "stem",
                    op: .conv2d(outputs: 3, window: Window(kernel: 1), groups: 1, bias: false),
                    inputs: [0], parameters: [kernel], stage: "stem"),
            ] + (norm ? [middle] : []) + [
                Node(
                    name: "pool", op: .globalAveragePool(keepsDimensions: false), inputs: [last],
                    stage: "stem")
            ], output: last + 1, features: last + 1, logits: nil, naming: .torch)
        var numbers = StateDict([
            "stem.weight": LazyTensor(Tensor([1, 0, 0, 0, 1, 0, 0, 0, 1], shape: kernel.shape))
        ])
        if norm {
            for (name, value) in zip(vectors, [1, 0, 0.1, 0.5] as [Float]) {
                numbers[name] = LazyTensor(Tensor([value, value, value], shape: [3]))
            }
        }
        weights = numbers
    }

    func options(_ epochs: Int) -> TrainingOptions {
        var options = TrainingOptions()
        options.epochs = epochs
        options.batchSize = 4
        options.patience = 0
        options.learningRate = 0.05
        options.flip = true
        options.seed = 3
        return options
    }

    /// A run that is stopped when it reports this epoch: its checkpoint is on disk then.
    func stopAfter(_ epoch: Int, _ run: String, _ options: TrainingOptions) throws {
        let from = folder + "/" + run
        _ = try trainer(run, options) { event in
            guard case .epoch(let record, _) = event, record.epoch == epoch else { return }
            try? FileManager.default.copyItem(
                atPath: from + "/checkpoint.safetensors", toPath: from + "/kept.safetensors")
        }.run()
        #expect(FileManager.default.fileExists(atPath: from + "/kept.safetensors"))
        try FileManager.default.removeItem(atPath: from + "/checkpoint.safetensors")
        try FileManager.default.moveItem(
            atPath: from + "/kept.safetensors", toPath: from + "/checkpoint.safetensors")
    }

    func trainer(
        _ run: String, _ options: TrainingOptions,
        report: @escaping @Sendable (TrainingEvent) -> Void = { _ in }
    ) throws -> Trainer {
        let split = try Split.stratified(photos, seed: 1, fraction: 0.3).items(of: photos)
        var input = TrainingInput(
            graph: graph, weights: weights,
            preprocessing: .squash(height: 8, width: 8, .tf),
            modelDigest: "0", classes: photos.classes, training: split.training,
            validation: split.validation)
        input.origin = "stem.npz"
        return try Trainer(
            input, options: options, runFolder: folder + "/" + run,
            features: FolderFeatures(root: folder + "/cache"),
            report: report)
    }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }
}

private func bytes(_ state: StateDict) throws -> [String: [UInt8]] {
    var result: [String: [UInt8]] = [:]
    for (name, tensor) in state.tensors { result[name] = try tensor.load().withBytes(Array.init) }
    return result
}

@Test func resumingEqualsNotStopping() throws {
    let scene = try Scene()
    defer { scene.remove() }
    let whole = try scene.trainer("whole", scene.options(6)).run()
    _ = try scene.trainer("parts", scene.options(2)).run()
    let parts = try scene.trainer("parts", scene.options(6)).run(resume: true)
    #expect(try bytes(whole.weights) == bytes(parts.weights))
    #expect(whole.history == parts.history)
    for name in ["log.csv", "checkpoint.safetensors", "metrics.json", "split.json"] {
        let files = try ["whole", "parts"].map {
            try Data(contentsOf: URL(fileURLWithPath: "\(scene.folder)/\($0)/\(name)"))
        }
        #expect(files[0] == files[1], "\(name)")
    }
    #expect(whole.metrics.accuracy == 1)
    #expect(try bytes(whole.weights)["stem.weight"] == bytes(scene.weights)["stem.weight"])
}

@Test func anotherRunsCheckpointIsRefused() throws {
    let scene = try Scene()
    defer { scene.remove() }
    #expect(throws: TrainingError.self) {
        try scene.trainer("run", scene.options(1)).run(resume: true)
    }
    _ = try scene.trainer("run", scene.options(1)).run()
    var options = scene.options(2)
    options.learningRate = 0.1
    #expect(throws: TrainingError.self) { try scene.trainer("run", options).run(resume: true) }
}

@Test func featuresAreReusedUntilSomethingChanges() throws {
    let scene = try Scene()
    defer { scene.remove() }
    let first = try scene.trainer("a", scene.options(2)).run()
    let second = try scene.trainer("b", scene.options(2)).run()
    #expect(first.reusedFeatures == 0)
    #expect(second.reusedFeatures == scene.photos.items.count)
    #expect(try bytes(first.weights) == bytes(second.weights))
    // Other weights are another network, whatever file they say that they came from.
    var other = scene
    let kernel = Tensor([1, 0, 0, 0, 1, 0, 0, 0, 0.5], shape: [3, 3, 1, 1])
    other.weights["stem.weight"] = LazyTensor(kernel)
    #expect(try other.trainer("c", scene.options(1)).run().reusedFeatures == 0)
    #expect(throws: TrainingError.self) {
        try other.trainer("a", scene.options(3)).run(resume: true)
    }
    // A damaged value is noticed and computed again.
    let cache = scene.folder + "/cache/features"
    for name in try FileManager.default.contentsOfDirectory(atPath: cache) {
        let url = URL(fileURLWithPath: "\(cache)/\(name)/values")
        var data = try Data(contentsOf: url)
        // A page of header, then records of 64 bytes and, here, 64 of numbers.
        for at in stride(from: 4096 + 64, to: data.count, by: 128) { data[at] ^= 1 }
        try data.write(to: url)
    }
    let third = try scene.trainer("d", scene.options(2)).run()
    #expect(third.reusedFeatures == 0)
    #expect(try bytes(first.weights) == bytes(third.weights))
}

/// A writer that was killed in the middle leaves a part of a record, and what follows is whole.
@Test func aKilledWriterHarmsNothing() throws {
    let scene = try Scene()
    defer { scene.remove() }
    let first = try scene.trainer("a", scene.options(2)).run()
    let cache = scene.folder + "/cache/features"
    let name = try #require(try FileManager.default.contentsOfDirectory(atPath: cache).first)
    let url = URL(fileURLWithPath: "\(cache)/\(name)/values")
    let whole = try Data(contentsOf: url)
    try (whole + Data(repeating: 7, count: 90)).write(to: url)
    let second = try scene.trainer("b", scene.options(2)).run()
    #expect(second.reusedFeatures == scene.photos.items.count)
    // A record that was cut off is computed again, at its place.
    try whole.dropLast(70).write(to: url)
    let third = try scene.trainer("c", scene.options(2)).run()
    #expect(third.reusedFeatures == scene.photos.items.count - 1)
    #expect(try Data(contentsOf: url).count == whole.count)
    // A file of something else gives way.
    try Data(repeating: 1, count: 9000).write(to: url)
    let fourth = try scene.trainer("d", scene.options(2)).run()
    #expect(fourth.reusedFeatures == 0)
    for other in [second, third, fourth] {
        #expect(try bytes(first.weights) == bytes(other.weights))
    }
}

@Test func halfFeaturesTakeHalfTheSpaceAndAreNearlyTheSame() throws {
    let scene = try Scene()
    defer { scene.remove() }
    var options = scene.options(3)
    let whole = try scene.trainer("a", options).run()
    options.cacheElement = .f16
    let half = try scene.trainer("b", options).run()
    #expect(half.reusedFeatures == 0)
    for (name, tensor) in whole.weights.tensors {
        let other = try #require(half.weights[name]).load().floats
        for (a, b) in zip(try tensor.load().floats, other) { #expect(abs(a - b) < 2e-3) }
    }
    #expect(try scene.trainer("c", options).run().reusedFeatures == scene.photos.items.count)
}

@Test func neighboursAreAHead() throws {
    let scene = try Scene()
    defer { scene.remove() }
    var options = TrainingOptions()
    options.head = .neighbours
    let result = try scene.trainer("a", options).run()
    #expect(result.metrics.accuracy == 1)
    let head = try #require(result.neighbours)
    #expect(head.labels.count == result.metrics.trainingPhotos && result.graph.logits == nil)
    let own = try head.probabilities(Array(head.bank.prefix(head.width)), classes: 2)
    #expect(own[0][head.labels[0]] > 0.99)
    options.mode = .finetune(unfreeze: 1)
    #expect(throws: TrainingError.self) { try scene.trainer("b", options).run() }
}

/// A search for a rate changes nothing of what comes after it.
@Test func aRateIsFound() throws {
    let scene = try Scene()
    defer { scene.remove() }
    let search = try scene.trainer("a", scene.options(2)).findRate()
    #expect(search.points.count > 10 && search.suggestion != nil)
    #expect(!FileManager.default.fileExists(atPath: scene.folder + "/a"))
    let points = try scene.trainer("a", scene.options(2)).findRate().points
    #expect(points.map(\.loss) == search.points.map(\.loss))
}

@Test func unreadablePhotosAreSkippedAndCounted() throws {
    let scene = try Scene()
    defer { scene.remove() }
    try Data("no photo".utf8).write(to: URL(fileURLWithPath: scene.photos.items[0].path))
    #expect(try scene.trainer("a", scene.options(1)).run().metrics.skippedPhotos == 1)
    for item in scene.photos.items where item.classIndex == 0 {
        try Data("no photo".utf8).write(to: URL(fileURLWithPath: item.path))
    }
    #expect(throws: TrainingError.self) { try scene.trainer("b", scene.options(1)).run() }
}

@Test func patienceEndsARun() throws {
    let scene = try Scene()
    defer { scene.remove() }
    var options = scene.options(50)
    options.learningRate = 1e-30
    options.patience = 3
    let result = try scene.trainer("a", options).run()
    #expect(result.history.count == 4)
    #expect(result.metrics.bestEpoch == 1)
}

@Test(arguments: [TrainingMode.finetune(unfreeze: nil), .finetune(unfreeze: 1)])
func finetuningMovesWhatIsUnfrozen(mode: TrainingMode) throws {
    let scene = try Scene()
    defer { scene.remove() }
    var options = TrainingOptions(mode: mode)
    options.epochs = 4
    options.batchSize = 4
    options.learningRate = 0.05
    options.patience = 0
    let whole = try scene.trainer("whole", options).run()
    let first = try #require(whole.history.first)
    let last = try #require(whole.history.last)
    #expect(last.trainingLoss < first.trainingLoss)
    #expect(try bytes(whole.weights)["stem.weight"] != bytes(scene.weights)["stem.weight"])
    options.epochs = 1
    _ = try scene.trainer("parts", options).run()
    options.epochs = 4
    let parts = try scene.trainer("parts", options).run(resume: true)
    #expect(try bytes(whole.weights) == bytes(parts.weights))
}

/// Everything that has a state of its own or draws numbers: averaging, mixing, sampling, plateaus.
@Test func resumingEqualsNotStoppingWithEverythingOn() throws {
    let scene = try Scene()
    defer { scene.remove() }
    func options(_ epochs: Int) -> TrainingOptions {
        var options = TrainingOptions(mode: .finetune(unfreeze: nil))
        options.head = .perceptron(hidden: 6)
        options.optimizer = .init(.lamb, weightDecay: 0.01)
        options.schedule = .plateau
        (options.epochs, options.batchSize, options.accumulate) = (epochs, 3, 2)
        (options.patience, options.learningRate, options.seed) = (0, 0.01, 9)
        (options.averaging, options.clipNorm, options.labelSmoothing) = (0.9, 0.5, 0.1)
        (options.mixup, options.cutmix, options.balance) = (0.4, 1, .sampling)
        (options.stageDecay, options.gradual, options.dropout) = (0.5, 2, 0.2)
        options.flip = true
        return options
    }
    let whole = try scene.trainer("whole", options(5)).run()
    _ = try scene.trainer("parts", options(2)).run()
    let parts = try scene.trainer("parts", options(5)).run(resume: true)
    #expect(try bytes(whole.weights) == bytes(parts.weights))
    #expect(whole.history == parts.history)
    // The stage before the head learns from the third epoch on, and learns then.
    let early = try scene.trainer("early", options(2)).run()
    #expect(try bytes(early.weights)["stem.weight"] == bytes(scene.weights)["stem.weight"])
    #expect(try bytes(whole.weights)["stem.weight"] != bytes(scene.weights)["stem.weight"])
}

/// Every optimiser in both dialects, with each schedule and each other thing that has a state.
@Test(arguments: Optimizer.Rule.allCases, Optimizer.Dialect.allCases)
func resumingEqualsNotStoppingForEveryOptimizer(
    rule: Optimizer.Rule, dialect: Optimizer.Dialect
) throws {
    let scene = try Scene(norm: true)
    defer { scene.remove() }
    for (number, schedule) in Schedule.allCases.enumerated() {
        func options(_ epochs: Int) -> TrainingOptions {
            var options = TrainingOptions(mode: .finetune(unfreeze: nil))
            options.optimizer = .init(
                rule, dialect: dialect, momentum: rule == .sgd || rule == .rmsprop ? 0.9 : 0,
                nesterov: rule == .sgd && number % 2 == 0, weightDecay: 0.01)
            options.schedule = schedule
            (options.epochs, options.batchSize, options.patience) = (epochs, 4, 0)
            (options.learningRate, options.warmupSteps, options.seed) = (0.003, 2, 11)
            options.trainsNorms = number != 1
            options.averaging = number % 2 == 0 ? 0.8 : 0
            options.mixup = number == 2 ? 0.3 : 0
            options.cutmix = number == 3 ? 0.7 : 0
            options.gradual = number == 4 ? 1 : 0
            options.dropout = 0.1
            options.augmentation.policy = number % 2 == 0 ? .trivial : .randaugment
            options.augmentation.erasing = 0.5
            return options
        }
        // The length is part of a cosine: the run is as long, and goes on from what the second epoch left.
        let whole = try scene.trainer("whole\(number)", options(4)).run()
        try scene.stopAfter(2, "parts\(number)", options(4))
        let parts = try scene.trainer("parts\(number)", options(4)).run(resume: true)
        #expect(try bytes(whole.weights) == bytes(parts.weights), "\(schedule)")
        #expect(whole.history == parts.history, "\(schedule)")
        let moved = try bytes(whole.weights)["norm.running_mean"]
        #expect((moved != (try bytes(scene.weights)["norm.running_mean"])) == (number != 1))
    }
}

/// Decoding threads do not decide a number.
@Test func workersChangeNothing() throws {
    let scene = try Scene()
    defer { scene.remove() }
    var options = TrainingOptions(mode: .finetune(unfreeze: nil))
    (options.epochs, options.batchSize, options.patience) = (2, 4, 0)
    options.augmentation.policy = .randaugment
    var results: [[String: [UInt8]]] = []
    for workers in [1, 3, 8] {
        Workers.$wanted.withValue(workers) {
            let result = try? scene.trainer("run\(workers)", options).run()
            results.append((try? result.map { try bytes($0.weights) } ?? [:]) ?? [:])
        }
    }
    #expect(!results[0].isEmpty && results[0] == results[1] && results[0] == results[2])
}

/// What leaves the numbers ends in an explained error, with the last good epoch as it was and a
/// folder that says so.
@Test(arguments: [
    (TrainingMode.finetune(unfreeze: nil), Head.linear), (.features, .perceptron(hidden: 5)),
])
func divergenceIsExplained(mode: TrainingMode, head: Head) throws {
    let scene = try Scene()
    defer { scene.remove() }
    var options = TrainingOptions(mode: mode)
    options.head = head
    options.optimizer = .init(.sgd, momentum: 0.9)
    // One step an epoch, the first of them at the rate 0: the first epoch is a good one.
    (options.epochs, options.batchSize, options.patience) = (9, 64, 0)
    (options.learningRate, options.warmupSteps) = (1e38, 1)
    let first = try #require(
        throws: TrainingError.self, performing: { try scene.trainer("run", options).run() })
    guard case .diverged(let place) = first else {
        Issue.record("\(first)")
        return
    }
    #expect(place.epoch > 1 && place.best == 1 && first.hint?.contains("checkpoint") == true)
    func data(_ name: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: "\(scene.folder)/run/\(name)"))
    }
    let metrics = try JSONDecoder().decode(TrainingMetrics.self, from: data("metrics.json"))
    #expect(metrics.failure?.divergence == place && metrics.bestEpoch == 1)
    #expect(metrics.accuracy != nil && metrics.loss?.isFinite == true)
    _ = try JSONDecoder().decode(RunDescription.self, from: data("run.json"))
    #expect(String(decoding: try data("report.html"), as: UTF8.self).contains("This run failed"))
    // The good epochs can be gone on from, to where it ended before.
    let checkpoint = try data("checkpoint.safetensors")
    let again = try #require(
        throws: TrainingError.self,
        performing: { try scene.trainer("run", options).run(resume: true) })
    #expect(again == first)
    #expect(try data("checkpoint.safetensors") == checkpoint)
    options.epochs = 1
    #expect(try scene.trainer("run", options).run(resume: true).metrics.failure == nil)
}

@Test(arguments: [Head.linear, .logistic, .neighbours, .perceptron(hidden: 4)])
func aBackboneThatAnswersNoNumbersIsNamed(head: Head) throws {
    var scene = try Scene(norm: true)
    defer { scene.remove() }
    // Numbers all of them, but not for BatchNorm, which takes the root.
    scene.weights["norm.running_var"] = LazyTensor(Tensor([-1, -1, -1], shape: [3]))
    var options = scene.options(2)
    options.head = head
    let error = try #require(
        throws: TrainingError.self, performing: { try scene.trainer("run", options).run() })
    guard case .brokenFeatures(let path, after: "pool") = error else {
        Issue.record("\(error)")
        return
    }
    #expect(scene.photos.items.contains { $0.path == path })
    let file = URL(fileURLWithPath: scene.folder + "/run/metrics.json")
    let metrics = try JSONDecoder().decode(TrainingMetrics.self, from: Data(contentsOf: file))
    #expect(metrics.failure != nil && metrics.accuracy == nil && metrics.epochs == 0)
}

/// ReLU would hide it from the loss.
@Test(arguments: [TrainingMode.features, .finetune(unfreeze: nil)])
func aWeightThatIsNoNumberIsRefused(mode: TrainingMode) throws {
    var scene = try Scene(norm: true)
    defer { scene.remove() }
    let values: [Float] = [1, .nan, 0, 0, .infinity, 0, -.infinity, 0, 1]
    scene.weights["stem.weight"] = LazyTensor(Tensor(values, shape: [3, 3, 1, 1]))
    scene.weights["norm.bias"] = LazyTensor(Tensor([0, 0, .nan], shape: [3]))
    let error = try #require(
        throws: TrainingError.self,
        performing: { try scene.trainer("run", TrainingOptions(mode: mode)).run() })
    let wanted = TrainingError.brokenWeights(
        "stem.weight", found: 3, of: 9, others: 1, origin: "stem.npz")
    #expect(error == wanted && error.message.contains("3 of 9 values") && error.hint != nil)
    #expect(error.message.contains("`stem.npz`"))
    #expect(!FileManager.default.fileExists(atPath: scene.folder + "/run"))
}

/// TensorBoard's file grows with each epoch, in place, and a resumed run has each epoch once.
@Test func eventsAreThereWhileARunGoesOn() throws {
    let scene = try Scene()
    defer { scene.remove() }
    var options = TrainingOptions()
    (options.epochs, options.patience) = (2, 0)
    let path = "\(scene.folder)/live/events.out.tfevents.0000000000.graft"
    let sizes = Mutex<[(size: Int, file: Int)]>([])
    func run(resume: Bool) throws {
        _ = try scene.trainer("live", options) { event in
            guard case .epoch = event else { return }
            let facts = try? FileManager.default.attributesOfItem(atPath: path)
            let size = facts?[.size] as? Int, file = facts?[.systemFileNumber] as? Int
            sizes.withLock { $0.append((size ?? 0, file ?? 0)) }
        }.run(resume: resume)
    }
    try run(resume: false)
    options.epochs = 3
    try run(resume: true)
    let seen = sizes.withLock { $0 }
    try #require(seen.count == 3)
    // Each epoch adds as much; the file is the same one while a run goes on.
    #expect(seen[1].size > seen[0].size)
    #expect(seen[1].size - seen[0].size == seen[2].size - seen[1].size)
    #expect(seen[0].file == seen[1].file)
}

@Test func aLogisticHeadLearnsAndReports() throws {
    let scene = try Scene()
    defer { scene.remove() }
    var options = TrainingOptions()
    options.head = .logistic
    let result = try scene.trainer("logistic", options).run()
    #expect(result.metrics.accuracy == 1)
    #expect(result.history.allSatisfy { $0.penalty != nil })
    #expect(result.metrics.scores?.macroROCAUC == 1)
    let again = try scene.trainer("again", options).run()
    #expect(try bytes(result.weights) == bytes(again.weights))
    for name in ["report.html", "run.json", "events.out.tfevents.0000000000.graft"] {
        #expect(FileManager.default.fileExists(atPath: "\(scene.folder)/logistic/\(name)"))
    }
}

/// Changed photos: kept where the backbone is frozen, made anew where it is not, and the same
/// after a resumption; another change finds nothing kept, the photos themselves are.
@Test(arguments: [TrainingMode.features, .finetune(unfreeze: nil)])
func changedPhotosAreReproducible(mode: TrainingMode) throws {
    let scene = try Scene()
    defer { scene.remove() }
    func options(_ epochs: Int) -> TrainingOptions {
        var options = TrainingOptions(mode: mode)
        options.augmentation.rotation = 30
        options.augmentation.brightness = 0.3
        (options.cacheViews, options.epochs, options.batchSize) = (3, epochs, 4)
        (options.patience, options.seed) = (0, 2)
        return options
    }
    let whole = try scene.trainer("whole", options(4)).run()
    _ = try scene.trainer("parts", options(1)).run()
    let parts = try scene.trainer("parts", options(4)).run(resume: true)
    #expect(try bytes(whole.weights) == bytes(parts.weights))
    var plain = options(4)
    plain.augmentation = Augmentation()
    let other = try scene.trainer("plain", plain).run()
    #expect(try bytes(whole.weights) != bytes(other.weights))
    guard mode == .features else { return }
    #expect(parts.reusedFeatures == scene.photos.items.count)
    #expect(other.reusedFeatures == scene.photos.items.count)
    var changed = options(1)
    changed.augmentation.rotation = 31
    let third = try scene.trainer("third", changed).run()
    #expect(third.reusedFeatures < scene.photos.items.count)
}
