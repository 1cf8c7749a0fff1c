// The `graft` program: the list of its commands, and how an error leaves the process.

import ArgumentParser
import Glibc
import Graft
import GraftCache
import GraftFormats
import GraftImages
import GraftSystem
import GraftTensors

struct GraftCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "graft",
        abstract: "Fetch published networks, convert them, train new heads on photos, predict.",
        discussion: """
            HDF5 files (.h5, .keras) are parsed in a process without network, files or rights. \
            --no-sandbox, with any command, parses them in this one.
            """,
        version: "graft 0.1.0",
        subcommands: [
            AugmentCommand.self,
            AuthCommand.self,
            BenchCommand.self,
            BoxesCommand.self,
            CacheCommand.self,
            ConvertCommand.self,
            DataCommand.self,
            DiffCommand.self,
            DoctorCommand.self,
            DrawCommand.self,
            EvaluateCommand.self,
            FeaturesCommand.self,
            FetchCommand.self,
            GradientsCommand.self,
            InspectCommand.self,
            LikenessCommand.self,
            LockCommand.self,
            ModelsCommand.self,
            PredictCommand.self,
            PreprocessCommand.self,
            QuantizeCommand.self,
            RunCommand.self,
            RunsCommand.self,
            ScoresCommand.self,
            ServeCommand.self,
            SummaryCommand.self,
            TrainCommand.self,
            UploadCommand.self,
        ])
}

@main
enum Program {
    static func main() async {
        Storage.reportBusErrors()
        var arguments = Array(CommandLine.arguments.dropFirst())
        if arguments.first == HDF5Server.command {
            exit(HDF5Server.run(Array(arguments.dropFirst())))
        }
        if arguments.first == ImageServer.command { exit(ImageServer.run()) }
        // Scripts ask it before anything else: answered before the commands are set up.
        if arguments == ["--version"] {
            Terminal.answer(GraftCommand.configuration.version)
            return
        }
        Notices.listen { Terminal.say($0) }
        waitAsleep(arguments.first { !$0.hasPrefix("-") })
        Isolation.current = .process(program: "/proc/self/exe")
        Models.onRemark { Terminal.say("note: \($0)") }
        Confinement.onFirstWeakness { held in
            Terminal.say(
                "warning: this file is parsed by a process that should have no rights, and "
                    + "\(held.weakness ?? "has some")\nhint: open files of strangers on another "
                    + "machine; `graft doctor` shows what this kernel has")
        }
        if let index = arguments.prefix(while: { $0 != "--" }).firstIndex(of: "--no-sandbox") {
            arguments.remove(at: index)
            Isolation.current = .inProcess
            Terminal.say(
                "warning: --no-sandbox: HDF5 files, archives and HEIC, AVIF, TIFF and GIF images are "
                    + "parsed by C libraries in this process, with all its rights and without bounds "
                    + "on memory and time; a damaged or hostile file can crash it or take it over")
        }
        if let mistake = UnknownCommand.find(arguments, in: GraftCommand.self) {
            Terminal.report(mistake)
            exit(64)
        }
        do {
            var command = try GraftCommand.parseAsRoot(arguments)
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let diagnostic as any Diagnostic {
            Terminal.report(diagnostic)
            exit(1)
        } catch let error where error is ExitCode || error is ValidationError {
            leave(with: error)
        } catch {
            // Argument parsing knows its own errors; what else arrives here is a bug.
            let code = GraftCommand.exitCode(for: error)
            guard code == .failure else { leave(with: error) }
            Terminal.say("error: \(error)")
            Terminal.say("hint: this is a bug in graft; please report what you ran")
            exit(70)
        }
    }

    /// Leaves as argument parsing wants it: what was asked for (help, a version, completions) is an
    /// answer, and the rest goes to stderr.
    private static func leave(with error: any Error) -> Never {
        let text = GraftCommand.fullMessage(for: error)
        if GraftCommand.exitCode(for: error) == .success, !text.isEmpty {
            Terminal.answer(text)
            exit(0)
        }
        GraftCommand.exit(withError: error)
    }

    /// Commands that compute nothing.
    private static let light: Set<String> = [
        "auth", "cache", "convert", "diff", "doctor", "fetch", "help", "inspect", "lock", "models",
        "serve", "upload",
        "summary",
    ]

    /// Makes threads that wait for others spin for some ten microseconds and then sleep: libgomp spins for
    /// milliseconds, which on a busy machine made a run of MobileNetV2 seventeen times as slow, and to sleep
    /// at once makes one photo on two threads twice as slow on an idle one, for it waits a hundred times.
    /// libgomp reads its settings before `main` and offers no call to change them, so that the program starts
    /// itself once more with the setting made.
    private static func waitAsleep(_ command: String?) {
        guard let command, !light.contains(command), getenv("OMP_WAIT_POLICY") == nil,
            getenv("GOMP_SPINCOUNT") == nil
        else { return }
        setenv("OMP_WAIT_POLICY", "passive", 1)
        setenv("GOMP_SPINCOUNT", "2000", 1)
        var path = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        guard readlink("/proc/self/exe", &path, path.count - 1) > 0 else { return }
        var arguments = CommandLine.arguments.map { strdup($0) } + [nil]
        execv(path, &arguments)
        // Where that fails, this process goes on with what it has.
        for argument in arguments { free(argument) }
    }
}
