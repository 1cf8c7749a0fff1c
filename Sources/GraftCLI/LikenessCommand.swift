// `graft likeness`, hidden: what given vectors score, for comparison with the frameworks.

import ArgumentParser
import Graft
import GraftFormats
import GraftTensors
import GraftTraining
import OrderedCollections

struct LikenessCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "likeness",
        abstract: "Measure vectors by how they find each other, or by a loss and its gradients.",
        discussion:
            "Example: graft likeness v.npy --labels y.npy --loss contrastive -o g.safetensors",
        shouldDisplay: false)

    @Argument(help: "Vectors, .npy of (photos, numbers).") var vectors: String
    @Option(help: "Their classes, .npy of (photos).") var labels: String
    @Option(help: "A loss.", transform: choice) var loss: EmbeddingLoss.Kind?
    @Option(help: "Its margin.") var margin: Double?
    @Option(help: "Its scale.") var scale: Double = 64
    @Option(help: "The vectors of the classes, .npy of (classes, numbers).") var proxies: String?
    @Option(name: .shortAndLong, help: "Where the loss and its gradients go, .safetensors.")
    var output: String?

    func run() throws {
        let vectors = try Npy.read(vectors).converted(to: .f32)
        let labels = try Npy.read(labels).converted(to: .f32).floats.map { Int(exactly: $0) ?? -1 }
        guard vectors.shape.rank == 2, vectors.shape[1] > 0, labels.count == vectors.shape[0],
            labels.allSatisfy((0..<1_000_000).contains)
        else { throw ValidationError("expected (photos, numbers), and a class for each photo") }
        guard let loss else {
            let classes = (0...(labels.max() ?? 0)).map { "\($0)" }
            let found = try RetrievalMetrics.measure(
                vectors.floats, width: vectors.shape[1], labels: labels, classes: classes)
            return Terminal.answer(try JSON.line(["retrieval": found]))
        }
        guard let output else { throw ValidationError("a loss needs -o") }
        var proxies = try proxies.map { try Npy.read($0).converted(to: .f32) }
        if loss.hasProxies {
            guard let proxies, proxies.shape.rank == 2, proxies.shape[1] == vectors.shape[1],
                labels.allSatisfy((0..<proxies.shape[0]).contains)
            else { throw ValidationError("\(loss.rawValue) needs --proxies, one for each class") }
        } else {
            proxies = nil
        }
        var (values, slopes) = (
            proxies?.floats ?? [], [Float](repeating: 0, count: proxies?.count ?? 0)
        )
        var result = 0.0
        let kind = EmbeddingLoss(loss, margin: margin, scale: scale)
        let gradient = vectors.withFloats { floats in
            Tensor(shape: vectors.shape) { target in
                values.withUnsafeMutableBufferPointer { values in
                    slopes.withUnsafeMutableBufferPointer { slopes in
                        result = kind.mean(
                            floats, width: vectors.shape[1], labels: labels,
                            proxies: proxies == nil ? nil : .init(values, gradient: slopes),
                            gradient: target)
                    }
                }
            }
        }
        var tensors: OrderedDictionary<String, LazyTensor> = [
            "loss": LazyTensor(Tensor([Float(result)], shape: [1])),
            "vectors": LazyTensor(gradient),
        ]
        if let proxies {
            tensors["proxies"] = LazyTensor(Tensor(slopes, shape: proxies.shape))
        }
        try Safetensors.write(StateDict(tensors), to: output)
    }
}
