// All of a run that is needed to go on exactly where it stopped.

import FoundationEssentials
import GraftFormats
import GraftTensors
import OrderedCollections

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// `checkpoint.safetensors`: weights that learn, those of the best epoch, the optimiser, and in the
/// metadata the epoch, the random numbers and the history.
struct Checkpoint {
    /// What is not tensors.
    struct Notes: Codable {
        /// A digest of the photos, the model and the settings.
        var identity: String
        /// The epochs that are done.
        var history: [EpochRecord]
        /// The index of the best in them.
        var best: Int
        /// The steps of the optimiser.
        var step: Int
        /// The state of the random numbers.
        var random: RandomSource
    }

    var notes: Notes
    var names: [String]
    var current: [[Float]]
    var best: [[Float]]
    /// The running mean of the weights; empty without one.
    var average: [[Float]]

    private static let key = "graft.training"

    func write(_ optimizer: Optimizer, to path: String) throws {
        var tensors: OrderedDictionary<String, LazyTensor> = [:]
        for (index, name) in names.enumerated() {
            tensors["weights/\(name)"] = Self.vector(current[index])
            tensors["best/\(name)"] = Self.vector(best[index])
            if !average.isEmpty { tensors["average/\(name)"] = Self.vector(average[index]) }
        }
        for (name, tensor) in optimizer.state(names: names) {
            tensors["optimizer/\(name)"] = LazyTensor(tensor)
        }
        let metadata = [Self.key: try RunFiles.json(notes)]
        try Safetensors.write(StateDict(tensors, metadata: metadata), to: path)
    }

    /// Reads the checkpoint of a run with this identity and these parameters.
    init(
        _ path: String, identity: String, names: [String], counts: [Int],
        optimizer: inout Optimizer
    ) throws {
        guard access(path, F_OK) == 0 else { throw TrainingError.noCheckpoint(path) }
        let file = try Safetensors.read(path)
        func damaged(_ reason: String) -> TrainingError {
            .damagedCheckpoint(path, reason: reason)
        }
        guard let text = file.metadata[Self.key],
            let notes = try? JSONDecoder().decode(Notes.self, from: Data(text.utf8)),
            notes.history.indices.contains(notes.best), notes.step >= 0,
            RandomSource(state: notes.random.state) != nil
        else { throw damaged("its notes cannot be read") }
        guard notes.identity == identity else { throw TrainingError.otherCheckpoint(path) }
        func values(_ prefix: String) throws -> [[Float]] {
            try zip(names, counts).map { name, count in
                guard let tensor = file["\(prefix)/\(name)"], tensor.count == count else {
                    throw damaged("`\(prefix)/\(name)` is not there")
                }
                return try tensor.load().floats
            }
        }
        self.notes = notes
        self.names = names
        current = try values("weights")
        best = try values("best")
        average = names.contains { file["average/\($0)"] != nil } ? try values("average") : []
        let complete = try optimizer.restore(names: names, step: notes.step) {
            try file["optimizer/\($0)"]?.load()
        }
        guard complete else { throw damaged("the state of the optimiser is not there") }
    }

    init(
        notes: Notes, names: [String], current: [[Float]], best: [[Float]], average: [[Float]]
    ) {
        self.notes = notes
        self.names = names
        self.current = current
        self.best = best
        self.average = average
    }

    private static func vector(_ values: [Float]) -> LazyTensor {
        LazyTensor(Tensor(values, shape: [values.count]))
    }
}
