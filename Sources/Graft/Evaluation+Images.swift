// Which images an evaluation measures on: those that fit the model, and were not learned from.

internal import GraftImages
internal import GraftTensors
internal import GraftTraining

extension Evaluation {
    /// The labelled images at `path`, read as `model` needs them: a subset of its classes is enough, as
    /// is one image, or the folder of one class.
    static func images(at path: String, _ reading: PhotoReading, _ model: Model) throws
        -> PhotoFolder
    {
        var reading = reading
        let labelling = model.task.traits.labelling
        if model.task != labelling.usualTask || labelling != .oneClass { reading.task = model.task }
        if reading.columns.isEmpty, labelling == .values, PhotoFolder.isTable(path) {
            // The run's own columns: their names are what the model calls its values.
            reading.columns = model.labels
        }
        if labelling == .oneClass, !model.task.traits.isVector, let one = ofOneClass(path, model) {
            return one
        }
        return try PhotoFolder.open(path, reading)
    }

    /// One image in the folder of its class, or that folder; nil for anything else.
    private static func ofOneClass(_ path: String, _ model: Model) -> PhotoFolder? {
        var parts = path.split(separator: "/").map(String.init)
        let isFolder = PhotoFolder.isFolder(path)
        let isImage = !isFolder && PhotoFolder.isImage(path)
        guard isFolder || isImage else { return nil }
        let name = isImage ? parts.popLast() : nil
        guard let label = parts.last, model.labels.contains(label) else { return nil }
        var items: [PhotoFolder.Item] = []
        if let name {
            items = [
                PhotoFolder.Item(path: path, relativePath: "\(label)/\(name)", classIndex: 0)
            ]
        } else {
            guard let names = try? PhotoFolder.imagesDirectly(in: path), !names.isEmpty else {
                return nil
            }
            items = names.map {
                PhotoFolder.Item(
                    path: "\(path)/\($0)", relativePath: "\(label)/\($0)", classIndex: 0)
            }
        }
        return PhotoFolder(path: path, classes: [label], items: items)
    }

    /// What decides whether an image is measured on.
    struct Selection: Sendable {
        /// What is known before any image was looked at.
        let overlap: TrainingOverlap
        private let trained: TrainedImages?
        private let validationOnly: Bool
        private let splitFile: String?
        private let needsSizes: Bool

        init(_ model: Model, splitFile: String?, includesTraining: Bool) throws {
            var overlap = TrainingOverlap(areIncluded: includesTraining)
            self.splitFile = splitFile
            needsSizes = model.task.traits.needsObjects
            validationOnly = splitFile != nil
            if let splitFile {
                trained = TrainedImages(try Split.read(splitFile))
            } else {
                (trained, overlap.unknown) = model.trainedImages()
            }
            overlap.evidence = trained?.evidence
            self.overlap = overlap
        }

        /// What looking at an image found.
        enum Looked: Sendable {
            case image(PreparedImage, of: PhotoFolder.Item, isTrained: Bool)
            /// It was learned from, and is left out.
            case trained
            /// The split does not keep it for validation.
            case other
            case unreadable(String)
        }

        /// Looks at an image; on any thread.
        func look(at item: PhotoFolder.Item, _ preprocessing: Preprocessing) -> Looked {
            do {
                return try item.withBytes { bytes in
                    var isTrained = false
                    if let trained {
                        let digest = item.digest(of: bytes)
                        if validationOnly {
                            guard trained.isValidation(item, digest: digest) else { return .other }
                        } else {
                            isTrained = trained.isTraining(item, digest: digest)
                            if isTrained, !overlap.areIncluded { return .trained }
                        }
                    }
                    let image = try item.open(bytes, covering: preprocessing.covering)
                    let size = try needsSizes ? PixelSize(of: bytes, name: item.path) : nil
                    return .image(
                        PreparedImage(image, preprocessing), of: item.sized(size),
                        isTrained: isTrained)
                }
            } catch let error as any Diagnostic {
                return .unreadable(error.message)
            } catch {
                return .unreadable("\(error)")
            }
        }

        /// Why no image is left to measure on.
        func nothingLeft(of path: String, _ overlap: TrainingOverlap, unreadable: [String])
            -> ModelError
        {
            if overlap.images > 0, unreadable.isEmpty {
                return .unusable(
                    path,
                    reason: "the model was trained on all \(overlap.images) images, "
                        + "so that nothing is left to evaluate",
                    hint: "name other images, or add `--include-training` to measure on these")
            }
            if let splitFile, unreadable.isEmpty {
                return .unusable(
                    splitFile, reason: "none of its validation images is in `\(path)`", hint: nil)
            }
            return .unusable(
                path, reason: "none of its images could be read", hint: unreadable.first)
        }
    }
}
