// `graft data convert`: a data set in another format.

import ArgumentParser
import Dispatch
import Glibc
import Graft
import GraftTensors
import GraftTraining

extension DataCommand {
    struct Convert: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "convert", abstract: "Write a data set in another format.",
            discussion: """
                Example: graft data convert export.zip -o yolo --to yolo
                Boxes, polygons, masks, splits and the order of classes are kept where the format has \
                a place for them; what it cannot hold is counted on stderr.
                """)

        @Argument(help: "Labelled or annotated images, as `graft train` takes them.")
        var data: String
        @Option(name: .shortAndLong, help: "Folder to write; it must not exist.")
        var output: String
        @Option(
            help: "Format: folders, csv, coco, yolo, voc, createml or labelstudio.",
            transform: choice)
        var to: DataSetFormat
        @Option(
            help: ArgumentHelp(
                "Images of the new set: link, copy or none (default: link).",
                discussion: "Links are hard links, or copies where the file system has none."),
            transform: choice)
        var images: ImagePlacement = .link
        @OptionGroup(title: "Data") var reading: DataSettings
        @Flag(help: "Print one JSON object.") var json = false

        struct Answer: Encodable {
            let path: String
            let format: String
            let images: Int
            let annotations: Int
            let classes: [String]
            let splits: [String: Int]
            let linked: Int
            let notCarried: [String: Int]
            let leftOut: [String]
            let notes: [String]
        }

        /// Writes the set; an interrupted conversion leaves nothing behind.
        private func write(_ set: AnnotatedImages) async throws -> WrittenDataSet {
            let (output, format, placement) = (output, to, images)
            let progress = JobProgress("writing")
            let work = Task.detached {
                try set.write(to: output, as: format, images: placement) { done, total in
                    try Task.checkCancellation()
                    progress.show(done, of: total)
                }
            }
            let signals = [SIGINT, SIGTERM].map { number in
                signal(number, SIG_IGN)
                let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
                source.setEventHandler { work.cancel() }
                source.resume()
                return source
            }
            defer { for source in signals { source.cancel() } }
            do {
                return try await work.value
            } catch is CancellationError {
                Terminal.redraw("")
                Terminal.say("interrupted: nothing was written")
                throw ExitCode(130)
            }
        }

        func run() async throws {
            let set = try AnnotatedImages.read(
                try await Models.photos(at: data), reading.reading)
            if !json {
                for remark in set.remarks {
                    Terminal.say("warning: left out \(DataArchive.shown(remark))")
                }
                for note in set.notes { Terminal.say("note: \(DataArchive.shown(note))") }
                let missing = set.images.filter(\.isMissing)
                if images == .none, let first = missing.first {
                    Terminal.say(
                        "warning: \(missing.count) of \(set.images.count) images are not on disk, such as "
                            + "`\(first.name)`; --folder names their folder")
                }
            }
            guard !set.images.isEmpty else { throw DataSetWritingError.empty(data) }
            let written = try await write(set)
            Terminal.redraw("")
            if json {
                let counts = written.uncarried.counts.map { ($0.key.rawValue, $0.value) }
                let splits = written.splits.map { ($0.key.rawValue, $0.value) }
                Terminal.answer(
                    try JSON.line(
                        Answer(
                            path: output, format: to.rawValue, images: written.imageCount,
                            annotations: written.annotationCount, classes: written.classes,
                            splits: Dictionary(uniqueKeysWithValues: splits),
                            linked: written.linkCount,
                            notCarried: Dictionary(uniqueKeysWithValues: counts),
                            leftOut: set.remarks, notes: set.notes + written.notes)))
                return
            }
            for warning in written.warnings { Terminal.say("warning: \(warning)") }
            for note in written.notes { Terminal.say("note: \(note)") }
            let parts = DataSplit.allCases.compactMap { split in
                written.splits[split].map { "\(grouped($0)) \(split.name)" }
            }
            Terminal.answer(
                "\(output): \(to.title), \(grouped(written.imageCount)) images"
                    + (parts.isEmpty ? "" : " (\(parts.joined(separator: ", ")))")
                    + (set.valueNames.isEmpty
                        ? ", \(grouped(written.annotationCount)) annotations of "
                            + "\(written.classes.count) classes"
                        : " with \(set.valueNames.joined(separator: ", "))"))
        }
    }
}
