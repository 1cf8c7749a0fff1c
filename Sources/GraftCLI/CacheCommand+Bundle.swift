// `graft cache export` and `import`: models as one file, for machines without a network.

import ArgumentParser
import GraftCache
import GraftTensors

extension CacheCommand {
    struct Export: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "export",
            abstract: "Write items into one .tar.zst, for machines without a network.",
            discussion: """
                Commits of the Hub go with their branches, tags and listings, files of other places with \
                their references; the same bytes go once. Each file is hashed on the way.

                Examples:
                  graft cache export hf://timm/resnet50.a1_in1k -o models.tar.zst
                  graft cache export --filter type=model -o models.tar.zst
                """)
        @Argument(help: "Items as `graft cache ls` shows them, or commits.")
        var references: [String] = []
        @Option(name: .shortAndLong, help: "The file to write.") var output: String?
        @OptionGroup var selection: Selection
        @Flag(help: "Only show what would be written.") var dryRun = false
        @Flag(help: "Print one JSON object.") var json = false
        @OptionGroup var place: Place

        struct Answer: Encodable {
            let items: [RemovalAnswer.Item]
            let contents: Int
            let bytes: Int
            let path: String?
            let bytesOfBundle: Int?
            let dryRun: Bool
        }

        func validate() throws {
            guard !references.isEmpty || !selection.filter.isEmpty else {
                throw ValidationError("name what to export, or a condition with --filter")
            }
            guard dryRun || output != nil else {
                throw ValidationError("say where to with -o models.tar.zst")
            }
        }

        func run() throws {
            let inventory = place.inventory
            let (named, missing) =
                references.isEmpty
                ? (inventory.items.filter { $0.kind != .features && $0.kind != .plan }, [])
                : inventory.select(references)
            if let name = missing.first { throw CacheError.unknown(name) }
            let items = try selection.accepted(named)
            guard !items.isEmpty else {
                throw CacheError.unknown(selection.filter.joined(separator: ", "))
            }
            let export = try BundleExport(items, of: inventory)
            if !dryRun, let output {
                let bar = StepBar("export", export.byteCount)
                try export.write(to: output) { bar.show($0) }
                bar.end()
            }
            let size = dryRun ? nil : output.flatMap { Files.size(of: $0) }
            if json {
                Terminal.answer(
                    try JSON.line(
                        Answer(
                            items: items.map(RemovalAnswer.item), contents: export.contentCount,
                            bytes: export.byteCount, path: dryRun ? nil : output,
                            bytesOfBundle: size, dryRun: dryRun)))
                return
            }
            for item in items { Terminal.say(item.reference) }
            Terminal.say(
                "\(grouped(export.contentCount)) files, \(readableBytes(export.byteCount))"
                    + (size.map { ", \(readableBytes($0)) packed" } ?? ""))
            if !dryRun, let output { Terminal.answer(output) }
        }
    }

    struct Import: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "import",
            abstract: "Put what a bundle holds into the caches of this machine.",
            discussion: """
                Every file is hashed before any of it can be reached. What is here already stays as it \
                is, branches and tags too. Doing it twice changes nothing.

                Example: graft cache import models.tar.zst
                """)
        @Argument(help: "What `graft cache export` wrote.") var bundle: String
        @Flag(help: "Only show what would be added.") var dryRun = false
        @Flag(help: "Print one JSON object.") var json = false
        @OptionGroup var place: Place

        struct Answer: Encodable {
            let items: [BundleImport.Outcome]
            let added: Int
            let bytes: Int
            let dryRun: Bool
        }

        func run() throws {
            let bundle = try BundleImport(
                bundle, cache: Cache(), hub: HubCache(root: HubScanner(root: place.cacheDir).root))
            let outcomes: [BundleImport.Outcome]
            if dryRun {
                outcomes = bundle.plan()
            } else {
                var bar: StepBar?
                outcomes = try bundle.execute { done, total in
                    let shown = bar ?? StepBar("import", total)
                    bar = shown
                    shown.show(done)
                }
                bar?.end()
            }
            let files = outcomes.map(\.files).clampedSum
            let bytes = outcomes.map(\.bytes).clampedSum
            if json {
                Terminal.answer(
                    try JSON.line(
                        Answer(items: outcomes, added: files, bytes: bytes, dryRun: dryRun)))
                return
            }
            for outcome in outcomes {
                Terminal.answer("\(outcome.state.rawValue)  \(outcome.reference)")
                for note in outcome.notes {
                    Terminal.say("warning: \(outcome.reference): \(note)")
                }
            }
            Terminal.say(
                "\(dryRun ? "would add" : "added") \(grouped(files)) files, \(readableBytes(bytes))"
            )
        }
    }
}
