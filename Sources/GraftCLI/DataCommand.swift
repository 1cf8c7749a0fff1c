// `graft data`: what is wrong with photos before anything is learned from them.

import ArgumentParser
import Graft
import GraftImages
import GraftTensors
import GraftTraining

struct DataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "data", abstract: "Look at a set of photos.", subcommands: [Check.self])

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check",
            abstract: "Find unreadable photos, duplicates, and labels that look wrong.",
            discussion: "Example: graft data check photos --model run/model.safetensors")

        @Argument(help: "Labelled photos, as `graft train` takes them.") var data: String
        @OptionGroup var reading: DataSettings
        @Option(help: "Validation photos: duplicates across the two are found too.")
        var validation: String?
        @Option(help: "A trained model: names photos that it is sure are of another class.")
        var model: String?
        @Option(help: "How sure it must be.") var sure: Float = 0.95
        @Flag(help: "Print one JSON object.") var json = false

        struct Doubt: Encodable {
            let path: String
            let label: String
            let looksLike: String
            let probability: Float
        }

        struct Answer: Encodable {
            let check: DataCheck
            let doubts: [Doubt]
        }

        func validate() throws {
            guard sure > 0, sure <= 1 else {
                throw ValidationError("--sure takes a share above 0, at most 1")
            }
        }

        func run() async throws {
            let path = try await Models.photos(at: data)
            let photos = try PhotoFolder.open(path, reading.reading)
            let held = try await validation.asyncMap { validation in
                try PhotoFolder.open(try await Models.photos(at: validation), reading.reading)
            }
            if !json { DataSettings.sayNotes(of: photos) }
            let others = photos.with(
                items: photos.items.filter { ![nil, .training].contains($0.split) })
            let progress = JobProgress("checking")
            let check = DataCheck(
                photos.isDivided ? photos.only(.training) : photos,
                validation: held ?? (photos.isDivided ? others : nil)
            ) { done, total in
                progress.show(done, of: total)
            }
            Terminal.redraw("")
            let doubts = try await doubts(photos)
            if json {
                Terminal.answer(try JSON.line(Answer(check: check, doubts: doubts)))
                return
            }
            var lines = photos.remarks.map { "left out    \($0)" }
            lines += check.unreadable.map { "unreadable  \($0.path): \($0.reason)" }
            func add(_ kind: String, _ groups: [DataCheck.Group]) {
                for group in groups {
                    let notes =
                        (group.acrossClasses ? ["different classes"] : [])
                        + (group.acrossSides ? ["both sides of the split"] : [])
                    lines.append(
                        "\(kind)  " + group.paths.joined(separator: "  ")
                            + (notes.isEmpty ? "" : "  (\(notes.joined(separator: ", ")))"))
                }
            }
            add("duplicate ", check.duplicates)
            add("lookalike ", check.lookalikes)
            lines += check.tiny.map { "tiny        \($0)" }
            lines += check.small.map { "few photos  class `\($0)` has \(check.counts[$0] ?? 0)" }
            lines += doubts.map {
                "label?      \($0.path): labelled \($0.label), looks like \($0.looksLike) "
                    + "(\(decimals($0.probability, 3)))"
            }
            lines.append(
                "\(check.photos) images of \(photos.classes.count) classes: "
                    + (lines.isEmpty
                        ? "nothing found"
                        : "\(lines.count) \(lines.count == 1 ? "finding" : "findings")"))
            Terminal.answer(lines.joined(separator: "\n"))
        }

        /// The photos whose labels a model strongly disagrees with, the surest first.
        private func doubts(_ photos: PhotoFolder) async throws -> [Doubt] {
            guard let model else { return [] }
            let network = try await Models.open(model)
            guard photos.task == .classification, network.task == .classification else {
                throw ModelError.unusable(
                    model, reason: "doubts are about photos of one class each", hint: nil)
            }
            var doubts: [Doubt] = []
            let progress = JobProgress("checking labels")
            for start in stride(from: 0, to: photos.items.count, by: 64) {
                let items = photos.items[start..<min(start + 64, photos.items.count)]
                progress.show(start, of: photos.items.count)
                let readable = items.compactMap { item in
                    (try? item.open(covering: network.preprocessing.covering)).map { (item, $0) }
                }
                let answers = try network.predict(readable.map(\.1), top: 1)
                for ((item, _), answer) in zip(readable, answers) {
                    let label = photos.classes[item.classIndex]
                    guard let best = answer.first, best.label != label, best.probability >= sure
                    else { continue }
                    doubts.append(
                        Doubt(
                            path: item.path, label: label, looksLike: best.label,
                            probability: best.probability))
                }
            }
            Terminal.redraw("")
            return doubts.sorted { $0.probability > $1.probability }
        }
    }
}
