// The rows of `graft features` while they are computed: on disk beyond a few megabytes.

import Graft
import GraftNetworks
import GraftTensors

/// Computes the vectors of images batch by batch and keeps them in the order of the images.
struct FeatureRows {
    private let runner: Runner
    private let width: Int
    private let batch: Int
    /// Where rows go whose number is known before.
    private let spool: Spool?
    /// Rows of videos, whose number is not.
    private var loose: [Float] = []
    private var names: [String] = []
    private var done = 0
    private var waiting: [PreparedImage] = []
    /// The images that could not be read.
    private(set) var skipped: [FeatureTable.Skipped] = []

    /// The images that were added or skipped.
    var seen: Int { names.count + skipped.count }

    /// - Parameter capacity: The most rows that will come; nil if that is not known.
    init(_ model: Model, node: Int, width: Int, capacity: Int?) throws {
        batch = min(8, max(capacity ?? 8, 1))
        runner = try Runner(model, batch: batch, output: node)
        self.width = width
        spool = try capacity.map { try Spool(byteCount: $0 * width * 4) }
    }

    mutating func add(_ image: PreparedImage, _ name: String) throws {
        names.append(name)
        waiting.append(image)
        if waiting.count == batch { try compute() }
    }

    mutating func skip(_ name: String) {
        skipped.append(FeatureTable.Skipped(place: seen, name: name))
    }

    /// The names and the vectors.
    mutating func finish() throws -> (names: [String], features: Tensor) {
        try compute()
        let shape: Shape = [names.count, width]
        guard let spool else { return (names, Tensor(loose, shape: shape)) }
        return (names, Tensor(.f32, shape, storage: try spool.finish()))
    }

    private mutating func compute() throws {
        for row in try runner.run(waiting) {
            if let spool {
                try row.withUnsafeBytes { try spool.put($0, at: done * width * 4) }
            } else {
                loose += row
            }
            done += 1
        }
        waiting.removeAll(keepingCapacity: true)
    }
}
