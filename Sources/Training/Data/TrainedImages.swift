// The images that a model was trained on: what its file says of them, and how they are recognised.

import FoundationEssentials
public import GraftTensors

/// What a trained model's file says about its run: enough to know the run's `split.json` again.
public struct TrainingOrigin: Codable, Sendable, Hashable {
    /// SHA-256 of what `split.json` says.
    public var split: String
    /// The number of images that were learned from.
    public var images: Int

    /// The origin of a model that was trained with this split.
    public init(_ split: Split) {
        self.split = split.digest
        images = split.training.count
    }
}

extension Split {
    /// SHA-256 of everything the split says, whatever its file's formatting.
    var digest: String {
        let lists = [training, validation, trainingDigests ?? [], validationDigests ?? []]
        var text = "\(seed) \(fraction)"
        for list in lists { text += "\n\(list.count)\n" + list.joined(separator: "\n") }
        return RunFiles.digest(text.utf8)
    }

    /// The split that a run wrote to this file.
    ///
    /// - Throws: ``TrainedImagesError/notASplit(_:)`` or `FileError`.
    public static func read(_ path: String) throws -> Split {
        let bytes = try Storage(mapping: path).withBytes { Data($0) }
        guard let split = try? JSONDecoder().decode(Split.self, from: bytes) else {
            throw TrainedImagesError.notASplit(path)
        }
        return split
    }
}

/// Recognises the images of a run, by their contents where its split has them, else by their names.
public struct TrainedImages: Sendable {
    /// How images are recognised.
    public enum Evidence: String, Sendable, Codable {
        /// By the digests of their contents.
        case contents
        /// By their relative paths.
        case names
    }

    /// How images are recognised.
    public let evidence: Evidence
    private let training: Set<String>
    private let validation: Set<String>

    /// The images of this split.
    public init(_ split: Split) {
        if let learned = split.trainingDigests, let held = split.validationDigests {
            evidence = .contents
            (training, validation) = (Set(learned), Set(held))
        } else {
            evidence = .names
            (training, validation) = (Set(split.training), Set(split.validation))
        }
    }

    /// Whether an image was learned from.
    ///
    /// By names alone, one that is on both sides cannot be told apart, since two folders may use a name
    /// for two images: it counts as a validation image.
    public func isTraining(_ item: PhotoFolder.Item, digest: PhotoDigest) -> Bool {
        switch evidence {
        case .contents: training.contains(digest.hexadecimal)
        case .names:
            training.contains(item.relativePath) && !validation.contains(item.relativePath)
        }
    }

    /// Whether an image was validated on.
    public func isValidation(_ item: PhotoFolder.Item, digest: PhotoDigest) -> Bool {
        validation.contains(evidence == .contents ? digest.hexadecimal : item.relativePath)
    }
}

/// A file that says nothing about a run's images.
public enum TrainedImagesError: Diagnostic, Equatable {
    /// It is not the split of a run.
    case notASplit(String)

    /// What happened.
    public var message: String {
        switch self {
        case .notASplit(let path): "`\(path)` is not the split of a run"
        }
    }

    /// What to do about it.
    public var hint: String? { "name the `split.json` of the run's folder" }
}
