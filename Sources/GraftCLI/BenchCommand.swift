// `graft bench`: milliseconds a batch, and the plan behind it.

import ArgumentParser
import Glibc
import Graft
import GraftExecution
import GraftNetworks
import GraftTensors

struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure a network: milliseconds a batch, and each step of the plan behind it.",
        discussion: """
            Examples:
              graft bench model.safetensors --batch 8
              graft bench resnet50 --untrained --batch 8 --threads 1 --json
            """)

    @Argument(help: "A native model, a registry name or a weight file.") var model: String
    @Option(help: "Photos a batch.") var batch = 1
    @Option(help: "Threads to use; all by default.") var threads: Int?
    @Option(help: "How often to run; the first run does not count.") var runs = 10
    @Option(help: "Height and width of the input; the model's own by default.") var size: Int?
    @Option(help: "The architecture of a weight file.") var architecture: String?
    @OptionGroup var selection: OutputSelection
    @Flag(help: "Take an architecture without its weights: nothing is fetched.")
    var untrained = false
    @Flag(help: "Measure a step of training: forward and backward.") var train = false
    @Option(help: "With --train, how many of the last stages learn; all by default.")
    var unfreeze: Int?
    @OptionGroup var execution: ExecutionSettings
    @Flag(
        help:
            "First measure which code is fastest for each 3×3 convolution, and keep that for every later run on this machine."
    )
    var tune = false
    @Flag(help: "Time whole runs only, not each step of the plan.") var brief = false
    @Flag(help: "List which layers are computed together, and why a group ends where it does.")
    var groups = false
    @Flag(help: "Print one JSON object.") var json = false

    func validate() throws {
        func check(_ name: String, _ value: Int?, _ range: ClosedRange<Int>) throws {
            guard let value, !range.contains(value) else { return }
            throw ValidationError(
                "\(name): expected \(range.lowerBound) to \(range.upperBound), got \(value)")
        }
        try check("--batch", batch, 1...4096)
        try check("--threads", threads, 1...1024)
        try check("--runs", runs, 1...100_000)
        try check("--size", size, 1...8192)
        try check("--unfreeze", unfreeze, 1...10_000)
    }

    struct Answer: Encodable {
        let model: String
        let batch: Int
        let height: Int
        let width: Int
        let threads: Int
        let mode: String
        let runs: Int
        let best_ms: Double
        let median_ms: Double
        let gflops: Double
        /// Processor time of a run, all threads together.
        let cpu_ms: Double
        let accuracy: String
        let precision: String
        let activation_bytes: Int
        /// The most memory that the process held until the last measured run.
        let peak_bytes: Int
        let plan_ms: Double
        /// How many parts the batch is divided into (`plan` is for one), and how many run at a time.
        let parts: Int
        let lanes: Int
        /// What the machine can do; left out with --brief.
        let peak_gflops: Double?
        let peak_gbps: Double?
        let plan: [Line]
        /// Which layers are computed together; left out without --groups.
        let groups: [PlanGroup]?
    }
    struct Line: Encodable {
        let node: String
        let algorithm: String
        let ms: Double
        let gflops: Double
        let share: Double
        /// Of what the machine's arithmetic and memory allow.
        let roofline: Double
    }

    func run() async throws {
        let model =
            untrained
            ? try Models.untrained(self.model, size: size)
            : try await Models.open(
                self.model, architecture: architecture, overrides: selection.overrides)
        var shape = model.input(count: batch)
        if let size { (shape[2], shape[3]) = (size, size) }
        var graph = model.graph
        if train, let unfreeze {
            // What is frozen runs once, before there are steps: only the rest is measured.
            let cut = graph.cut(unfreezing: unfreeze)
            let value = try graph.shapes(input: shape)[cut]
            shape = value.rank == 2 ? [value[0], value[1], 1, 1] : value
            graph = try graph.split(at: cut).suffix
        }
        let input = Tensor(shape: shape) { target in
            for index in target.indices { target[index] = Float((index &* 31) % 257) / 128 - 1 }
        }
        var options = execution.options(measures: tune)
        options.threads = threads
        let clock = ContinuousClock()
        let start = clock.now
        let once: () throws -> Void
        let profile: () throws -> [PlanStep]
        let bytes: Int
        let planGroups: [PlanGroup]
        var division = (parts: 1, lanes: 1)
        let count = min(runs, 5)
        if train {
            let output = graph.logits ?? graph.output
            let names = graph.parameters.filter { !$0.isBuffer }.map(\.name)
            let plan = try TrainingPlan(
                graph: graph, weights: model.weights, input: shape, trainable: Set(names),
                output: output, options: options)
            once = { try plan.backward(try plan.forward(input, dropoutSeed: 1)) }
            bytes = plan.activationByteCount
            planGroups = plan.groups
            profile = { [brief] in try brief ? plan.steps : plan.profile(input, runs: count) }
        } else {
            let plan = try InferencePlan(
                graph: model.graph, weights: model.weights, input: shape,
                options: model.planned(options))
            once = { _ = try plan.run(input) }
            bytes = plan.activationByteCount
            planGroups = plan.groups
            division = plan.division
            profile = { [brief] in try brief ? plan.steps : plan.profile(input, runs: count) }
        }
        let planned = (clock.now - start) / .milliseconds(1)
        try once()
        var times: [Double] = []
        let before = Usage()
        for _ in 0..<runs {
            let start = clock.now
            try once()
            times.append((clock.now - start) / .milliseconds(1))
        }
        let after = Usage()
        times.sort()
        let cpu = (after.seconds - before.seconds) * 1000 / Double(runs)
        report(
            try profile(), times, shape, groups: planGroups, planned: planned, bytes: bytes,
            division, cpu: cpu, peakBytes: after.peakBytes)
    }

    /// What the process has used so far.
    private struct Usage {
        private var usage = rusage()

        init() { getrusage(Int32(RUSAGE_SELF.rawValue), &usage) }

        var seconds: Double {
            Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
                + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
        }
        /// Linux counts in KiB.
        var peakBytes: Int { usage.ru_maxrss * 1024 }
    }

    private func report(
        _ steps: [PlanStep], _ times: [Double], _ shape: Shape, groups planGroups: [PlanGroup],
        planned: Double, bytes: Int, _ division: (parts: Int, lanes: Int), cpu: Double,
        peakBytes: Int
    ) {
        let peak = brief ? nil : Roofline.measure(threads: threads)
        let total = steps.reduce(0) { $0 + ($1.milliseconds ?? 0) }
        let lines = (brief ? [] : steps).map { step in
            let ms = step.milliseconds ?? 0
            return Line(
                node: step.node, algorithm: step.algorithm, ms: ms,
                gflops: ms > 0 ? step.operations / ms / 1e6 : 0, share: total > 0 ? ms / total : 0,
                roofline: peak?.share(of: step) ?? 0)
        }
        let operations = steps.reduce(0) { $0 + $1.operations } * Double(division.parts)
        let answer = Answer(
            model: model, batch: shape[0], height: shape[2], width: shape[3],
            threads: threads ?? Threads.usable, mode: train ? "train" : "infer", runs: times.count,
            best_ms: times[0], median_ms: times[times.count / 2],
            gflops: operations / times[times.count / 2] / 1e6,
            cpu_ms: cpu, accuracy: execution.accuracy.rawValue,
            precision: execution.precision.precision.reasonOff == nil
                ? execution.precision.rawValue : "f32",
            activation_bytes: bytes, peak_bytes: peakBytes, plan_ms: planned,
            parts: division.parts, lanes: division.lanes,
            peak_gflops: peak.map { $0.operations / 1e9 },
            peak_gbps: peak.map { $0.bandwidth / 1e9 }, plan: lines,
            groups: groups ? planGroups : nil)
        if json, let text = try? JSON.line(answer) {
            Terminal.answer(text)
            return
        }
        var table = Table(
            ["layer", "code", "ms", "GFLOP/s", "share", "roofline"], numeric: [2, 3, 4, 5])
        for line in lines {
            table.add([
                line.node, line.algorithm, decimals(line.ms, 3),
                line.gflops > 0 ? decimals(line.gflops, 1) : "",
                decimals(line.share * 100, 1) + " %", decimals(line.roofline * 100, 0) + " %",
            ])
        }
        if !brief { Terminal.answer(table.text) }
        if groups { Terminal.answer(Self.table(planGroups).text) }
        let (best, median) = (decimals(answer.best_ms, 2), decimals(answer.median_ms, 2))
        let megabytes = decimals(Double(bytes) / 1e6, 1)
        let roofline =
            peak.map {
                "; the roofline is \(decimals($0.operations / 1e9, 0)) GFLOP/s and "
                    + "\(decimals($0.bandwidth / 1e9, 1)) GB/s"
            } ?? ""
        Terminal.answer(
            """
            \(model) \(answer.mode), batch \(shape[0]) of \(shape[2]) × \(shape[3]), \
            \(answer.threads) threads, \(answer.precision): best \(best) ms, median \(median) ms, \
            \(decimals(answer.gflops, 1)) GFLOP/s; \(megabytes) MB of activations; planned in \
            \(decimals(planned, 0)) ms\(roofline)
            """)
    }

    /// One line for each group: its layers, what its step does for others, and why it ends.
    private static func table(_ groups: [PlanGroup]) -> Table {
        var table = Table(["layers", "with", "precision", "ends because"])
        for group in groups {
            var with: [String] = []
            if let addend = group.addend { with.append("adds `\(addend)`") }
            if let padding = group.padding {
                with.append(
                    "pads \(padding.top), \(padding.left), \(padding.bottom), \(padding.right)")
            }
            if let place = group.place { with.append("written into `\(place)`") }
            table.add([
                group.layers.joined(separator: " + "), with.joined(separator: ", "),
                group.precision, group.end,
            ])
        }
        return table
    }
}
