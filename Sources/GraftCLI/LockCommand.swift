// `graft lock`: writes down what a project uses, to the byte.

import ArgumentParser
import GraftCache
import GraftHub
import GraftTensors

struct LockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lock",
        abstract: "Write down the exact files of references, for `graft fetch --locked`.",
        discussion: """
            The lock file holds, for each reference, the commit and the path, size and SHA-256 of every \
            file, and where they were. It is JSON with one value a line, made to be committed. What is \
            not in the cache is fetched. Without references those of the lock file are locked anew: a \
            branch that moved is followed.

            Examples:
              graft lock resnet50 hf://timm/resnet50.a1_in1k --include '*.safetensors'
              graft lock
              graft fetch --locked
            """)
    @Argument(help: "References to add or renew; those of the lock file without any.")
    var references: [String] = []
    @Option(help: "The lock file.") var lockFile = LockFile.fileName
    @Option(help: "Lock the files of a repository that match, such as '*.safetensors'.")
    var include: [String] = []
    @Option(help: "Leave out the files of a repository that match.") var exclude: [String] = []
    @Option(help: "A branch, tag or commit of the repository.") var revision: String?
    @Option(
        name: [.customLong("repo-type"), .customLong("type")],
        help: "What hf://name is: model, dataset, space or kernel.")
    var kind: String?
    @Flag(help: "Take references out of the lock file.") var remove = false
    @Option(help: "Where Python's huggingface_hub keeps its cache.") var cacheDir: String?
    @Option(help: "A file that holds the token; else HF_TOKEN and the token of `hf auth login`.")
    var tokenFile: String?
    @Flag(help: "Send nothing; lock what is in the cache or fail.") var offline = false
    @Flag(help: "Only show what would change.") var dryRun = false
    @Option(
        help: "Host that may be asked over plain http (repeatable; also GRAFT_ALLOW_HTTP).")
    var allowHTTP: [String] = []
    @Flag(name: .shortAndLong, help: "Print no progress.") var quiet = false
    @Flag(name: .shortAndLong, help: "Show requests, without secrets (also HF_DEBUG=1).")
    var verbose = false
    @Flag(help: "Print one JSON object.") var json = false

    struct Answer: Encodable {
        let lockFile: String
        let added: [String]
        let changed: [String]
        let removed: [String]
        let unchanged: [String]
        let dryRun: Bool
    }

    func validate() throws {
        guard kind == nil || kind.flatMap(HubName.Kind.init) != nil else {
            throw ValidationError("--repo-type is model, dataset, space or kernel")
        }
        guard !remove || !references.isEmpty else {
            throw ValidationError("name what to take out")
        }
    }

    func run() async throws {
        if verbose { Notices.trace() }
        let old = try Files.size(of: lockFile) == nil ? LockFile() : LockFile(reading: lockFile)
        var new = old
        if remove {
            for reference in references where new.references.removeValue(forKey: reference) == nil {
                throw HubError.missing(reference, in: lockFile)
            }
        } else {
            if references.isEmpty { _ = try LockFile(reading: lockFile) }
            let wanted = references.isEmpty ? old.references.keys : references
            let report = Progress.fetching(quiet: quiet, json: false)
            for reference in wanted {
                let known = references.isEmpty ? old.references[reference] : nil
                let locked = try await Hub(offline: offline, options: options(known))
                    .lock(reference, progress: report)
                // What only its sender may know is not committed.
                let name = Secrets.masked(reference)
                if let before = old.references[name], before.isSame(as: locked) { continue }
                new.references[name] = locked
            }
        }
        if !dryRun, new != old || Files.size(of: lockFile) == nil { try new.write(to: lockFile) }
        try say(old, new)
    }

    /// How to fetch: as the command line says, or as the lock file says that it was said.
    private func options(_ known: LockFile.Locked?) -> FetchOptions {
        var options = FetchOptions()
        options.hubRoot = cacheDir
        options.plainHTTPHosts = allowHTTP
        options.tokenFile = tokenFile
        options.kind = kind.flatMap(HubName.Kind.init)
        options.revision = revision ?? known?.revision
        options.include = include.isEmpty ? known?.include ?? [] : include
        options.exclude = exclude.isEmpty ? known?.exclude ?? [] : exclude
        if options.kind == nil, let known { options.kind = HubName.Kind(rawValue: known.type) }
        return options
    }

    private func say(_ old: LockFile, _ new: LockFile) throws {
        let names = Set((old.references.keys + new.references.keys).map { ExactText($0) }).sorted()
            .map(\.text)
        func those(_ test: (LockFile.Locked?, LockFile.Locked?) -> Bool) -> [String] {
            names.filter { test(old.references[$0], new.references[$0]) }
        }
        let answer = Answer(
            lockFile: lockFile, added: those { $0 == nil && $1 != nil },
            changed: those { $0 != nil && $1 != nil && $0 != $1 },
            removed: those { $0 != nil && $1 == nil }, unchanged: those { $0 == $1 },
            dryRun: dryRun)
        if json {
            Terminal.answer(try JSON.line(answer))
            return
        }
        for (word, list) in [
            ("added", answer.added), ("changed", answer.changed), ("removed", answer.removed),
            ("unchanged", answer.unchanged),
        ] {
            for name in list {
                let commit = new.references[name]?.commit.map { " at \($0.prefix(12))" } ?? ""
                Terminal.say("\(word)  \(name)\(commit)")
            }
        }
        if !dryRun { Terminal.answer(lockFile) }
    }
}
