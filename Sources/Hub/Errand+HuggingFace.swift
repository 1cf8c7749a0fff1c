// `hf://` references where one file is wanted: the one named, or the weights of a repository.

import GraftCache
import GraftTensors

extension Errand {
    /// `hf://organisation/name[@revision][/file]`.
    func fetchHuggingFace() throws -> Fetched {
        let progress = progress
        var errand = try RepositoryErrand(
            reference, hub.options, offline: hub.offline, own: cache, http: http,
            progress: { progress?(Int64($0.bytes), $0.totalBytes.map { Int64($0) }) })
        if let path = errand.reference.path, !path.hasSuffix("/") {
            let found = try errand.fetchFile(path)
            for warning in errand.warnings { Notices.say("warning: " + warning) }
            return try answer(found.path, fromCache: found.isOld)
        }
        // The whole is looked at, the weights alone are fetched.
        let listing = try errand.list()
        guard let weights = Weights.choose(among: listing.map(\.path)) else {
            throw HubError.noWeights(reference: reference)
        }
        let fetched = try errand.fetch(Patterns(include: weights.all.map(Patterns.escaped)))
        for warning in fetched.warnings { Notices.say("warning: " + warning) }
        let isOld = fetched.files.allSatisfy(\.fromCache)
        return try answer("\(fetched.path)/\(weights.main)", fromCache: isOld)
    }

    private func answer(_ path: String, fromCache: Bool) throws -> Fetched {
        let sums = try ContentHasher.over(path, for: digest).finalize()
        if let digest, !digest.matches(sums) {
            throw HubError.wrongDigest(
                url: reference, expected: digest.description, found: digest.found(sums))
        }
        return Fetched(
            path: path, byteCount: sums.byteCount, sha256: sums.sha256, reference: reference,
            fromCache: fromCache)
    }
}

/// Which files of a repository are its weights.
enum Weights {
    /// The file to open, and all that have to be there for it.
    static func choose(among paths: [String]) -> (main: String, all: [String])? {
        let here = paths.filter { !$0.contains("/") }.sorted()
        // What says how the weights are used.
        let companions = here.filter {
            ["config.json", "labels.txt", "preprocessor_config.json"].contains($0)
        }
        // Formats that cannot run code come first.
        if here.contains("model.safetensors") {
            return ("model.safetensors", ["model.safetensors"] + companions)
        }
        if let index = here.first(where: { $0.hasSuffix(".safetensors.index.json") }) {
            return (index, [index] + here.filter { $0.hasSuffix(".safetensors") } + companions)
        }
        for ending in [
            ".safetensors", ".keras", ".h5", ".hdf5", ".npz", ".onnx", ".bin", ".pth", ".pt",
        ] {
            let found = here.filter { $0.hasSuffix(ending) }
            let usual = found.first { $0.hasPrefix("model") || $0.hasPrefix("pytorch_model") }
            if let main = usual ?? (found.count == 1 ? found.first : nil) {
                return (main, [main] + companions)
            }
        }
        return nil
    }
}
