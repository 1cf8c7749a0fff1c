// `graft upload`: files of this machine into a repository of the Hub.

import ArgumentParser
import Graft
import GraftCache
import GraftHub

struct UploadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upload",
        abstract: "Upload a file or a folder to a repository of the Hub, as one commit.",
        discussion: """
            Example: graft upload run hf://org/name --message "First version"
            Of a run's folder a model card, README.md, is written first: metrics, licence, base model, \
            digest of the data and the command. The repository is created if missing. Files that it has already are not sent again. An \
            upload in parts that was interrupted is resumed by the same command.
            """)

    @Argument(help: "File or folder.", completion: .file()) var path: String
    @Argument(help: "hf://[datasets/]organisation/name[@revision][/path].") var reference: String
    @Option(help: "Branch (default: main).") var revision: String?
    @Flag(help: "Open a pull request.") var createPr = false
    @Flag(help: "Create a missing repository as private.") var `private` = false
    @Option(help: "Pattern of files to upload (repeatable).") var include: [String] = []
    @Option(help: "Pattern of files to leave out (repeatable).") var exclude: [String] = []
    @Option(help: "Pattern of files of the repository to remove (repeatable).")
    var delete: [String] = []
    @Option(name: [.customLong("message"), .customLong("commit-message")], help: "Commit message.")
    var message: String?
    @Option(
        name: [.customLong("repo-type"), .customLong("type")],
        help: "Type of the repository: model, dataset or space.")
    var kind: String?
    @Option(help: "File that holds the token; else HF_TOKEN and the token of `hf auth login`.")
    var tokenFile: String?
    @Option(help: "Host that may be asked over plain http (repeatable; also GRAFT_ALLOW_HTTP).")
    var allowHTTP: [String] = []
    @Flag(help: "Write no model card into a run's folder.") var noCard = false
    @Flag(help: "Show what would be sent.") var dryRun = false
    @Flag(name: .shortAndLong, help: "Print no progress.") var quiet = false
    @Flag(name: .shortAndLong, help: "Show requests, without secrets (also HF_DEBUG=1).")
    var verbose = false
    @Flag(help: "Print one JSON object.") var json = false

    func validate() throws {
        guard kind == nil || kind.flatMap(HubName.Kind.init) != nil else {
            throw ValidationError("--repo-type is model, dataset or space")
        }
    }

    func run() async throws {
        if verbose { Notices.trace() }
        var options = FetchOptions()
        options.kind = kind.flatMap(HubName.Kind.init)
        options.tokenFile = tokenFile
        options.plainHTTPHosts = allowHTTP
        var upload = UploadOptions()
        upload.revision = revision
        upload.opensPullRequest = createPr
        upload.isPrivate = self.private
        upload.include = include
        upload.exclude = exclude
        upload.delete = delete
        upload.message = message
        upload.isDryRun = dryRun
        if !noCard, !dryRun, let card = try ModelCard.write(ofRun: path), !quiet {
            Terminal.say("wrote \(card)")
        }
        let report = Progress.fetching(path)
        let done = try await Hub(options: options)
            .upload(path, to: reference, upload, progress: quiet ? nil : report)
        if json {
            Terminal.answer(try JSON.line(done))
            return
        }
        if !quiet {
            Terminal.say(
                (dryRun ? "would upload " : "uploaded ") + counted(done.files.count, "file")
                    + (done.unchanged.isEmpty ? "" : ", \(done.unchanged.count) unchanged")
                    + (done.deleted.isEmpty ? "" : ", removed \(done.deleted.count)"))
        }
        if dryRun { for path in done.files { Terminal.answer(Terminal.harmless(path)) } }
        if let place = done.url ?? done.commit { Terminal.answer(place) }
    }
}
