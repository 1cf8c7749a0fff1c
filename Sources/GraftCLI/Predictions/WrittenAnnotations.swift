// `--write`: predictions as a data set of annotations that other tools open, to correct them or to learn from them.

import Graft
import GraftImages
import GraftNetworks
import GraftSystem
import GraftTensors
import GraftTraining

/// Collects the answers of a run, and writes them as `graft data convert` writes a data set.
final class WrittenAnnotations: PredictionSink {
    private let path: String
    private let format: DataSetFormat
    private var set = AnnotatedImages()
    private var spool: ImageSpool?

    /// - Throws: ``UnwritableAnswer`` of answers that the format has no place for, or
    ///   `DataSetWritingError.exists`.
    init(_ path: String, _ format: DataSetFormat, _ model: Model) throws {
        guard model.task.presentation.formats.contains(format) else {
            throw UnwritableAnswer(format: format, task: model.task)
        }
        try AnnotatedImages.requireNew(path)
        (self.path, self.format) = (path, format)
        set.classes = model.labels
        set.writer = "graft \(model.graph.name)"
    }

    func add(_ report: ImageReport, of input: ImageInput) throws {
        guard report.error == nil else { return }
        var image = try place(of: input)
        (image.width, image.height) = report.size
        report.answer?.annotate(&image, in: &set)
        set.images.append(image)
    }

    /// Where the image is in a file; what is in none is kept in one until the set is written.
    private func place(of input: ImageInput) throws -> AnnotatedImage {
        func spooled(_ body: (String) throws -> Void) throws -> AnnotatedImage {
            let spool = try self.spool ?? ImageSpool()
            self.spool = spool
            let path = spool.next()
            try body(path)
            return AnnotatedImage(path: path, name: input.name == "-" ? "stdin" : input.name)
        }
        switch input.place {
        case .item(let item), .unpacked(let item):
            var image = AnnotatedImage(path: item.path, name: input.name)
            (image.range, image.embedded) = (item.range, item.embedded)
            return image
        case .bytes(let bytes):
            return try spooled { path in
                var file = try AtomicFile(replacing: path)
                try file.write(bytes)
                try file.commit(durably: false)
            }
        case .frame(let frame): return try spooled { try frame.writePNG(to: $0) }
        case .missing(let reason): throw reason
        case .video: throw InputError.video(input.name)
        }
    }

    func finish() throws {
        let written = try set.write(to: path, as: format)
        for warning in written.warnings { Terminal.say("warning: \(warning)") }
        for note in written.notes { Terminal.say("note: \(note)") }
        Terminal.say(
            "wrote \(path): \(format.title), \(grouped(written.imageCount)) images, "
                + "\(grouped(written.annotationCount)) annotations")
    }
}

/// A folder of images that came from no file; removed with the value.
private final class ImageSpool {
    private let folder: String
    private var count = 0

    init() throws { folder = try TemporaryFolders.make() }

    deinit { TemporaryFolders.remove(folder) }

    /// The path of another image.
    func next() -> String {
        count += 1
        return "\(folder)/\(count)"
    }
}

/// Answers that a format has no place for.
struct UnwritableAnswer: Diagnostic, Equatable {
    let format: DataSetFormat
    let task: LearningTask

    var message: String {
        let holds =
            switch format {
            case .labelstudio, .csv: "boxes and labels"
            case .folders: "the class of each image"
            case .coco, .yolo, .voc, .createml: "boxes"
            }
        return
            "--write \(format.rawValue) writes \(holds), and this is a model for \(task.rawValue)"
    }
    var hint: String? {
        "`--csv` writes every answer; labels also `--write labelstudio` and `--sort-into DIR`, boxes also "
            + "`--write coco`"
    }
}
