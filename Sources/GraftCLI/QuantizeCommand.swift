// `graft quantize`: look at photos, so that a model can be computed in eight bits, and say what that costs.

import ArgumentParser
import Graft
import GraftExecution
import GraftImages
import GraftTensors
import GraftTraining

struct QuantizeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quantize",
        abstract: "Make a model ready for int8, and measure what that costs on photos.",
        discussion: """
            Looks at half of the photos, writes the model with the ranges of its values, and compares \
            int8 with f32 on the other half. The weights stay as they are: `--precision int8` uses \
            the ranges, every other run does not.

            Examples:
              graft quantize resnet50 photos -o resnet50-int8.safetensors
              graft evaluate resnet50-int8.safetensors photos --precision int8
            """)

    @Argument(help: "A native model, a registry name or a weight file.") var model: String
    @Argument(help: "Photos, and folders of photos: of the kind that it will meet.")
    var photos: [String]
    @Option(name: .shortAndLong, help: "Where to write the model.") var output: String
    @Option(help: "How many of the photos to use, evenly chosen.") var count = 128
    @Option(help: "The architecture of a weight file.") var architecture: String?
    @OptionGroup var selection: OutputSelection
    @Flag(help: "Print one JSON object.") var json = false

    struct Answer: Encodable {
        let path: String
        let values: Int
        let photos: Int
        /// Nil where this processor does not compute in int8.
        let loss: PrecisionLoss?
    }

    func run() async throws {
        guard count > 1 else { throw ValidationError("--count must be at least 2") }
        var model = try await Models.open(
            self.model, architecture: architecture, overrides: selection.overrides)
        model.execution.memory = ExecutionSettings.memory()
        let all = try photos.flatMap { try PhotoFolder.isFolder($0) ? PhotoFolder.list($0) : [$0] }
        let used = min(count, all.count)
        let chosen = (0..<used).map { all[$0 * all.count / used] }
        let seen = chosen.indices.filter { $0 % 2 == 0 }.map { chosen[$0] }
        let held = chosen.indices.filter { $0 % 2 == 1 }.map { chosen[$0] }
        let quantized = try model.quantize(photos: seen) { done, total in
            Terminal.redraw(
                Terminal.bar("quantize", done: done, of: total, detail: "\(done) of \(total)"))
        }
        Terminal.redraw("")
        try quantized.write(to: output)
        var loss: PrecisionLoss?
        if let reason = Precision.int8.reasonOff {
            Terminal.say("note: not compared with f32: \(reason)")
        } else if held.isEmpty {
            Terminal.say("note: not compared with f32: one photo is too few")
        } else {
            // As it will be used: from the file.
            var written = try Model.open(output)
            written.execution.memory = model.execution.memory
            loss = try PrecisionLoss(written, .int8, photos: held) { done, total in
                Terminal.redraw(
                    Terminal.bar("compare", done: done, of: total, detail: "\(done) of \(total)"))
            }
            Terminal.redraw("")
        }
        if json {
            Terminal.answer(
                try JSON.line(
                    Answer(
                        path: output, values: quantized.ranges.count, photos: seen.count,
                        loss: loss)))
            return
        }
        Terminal.say("the ranges of \(quantized.ranges.count) values from \(seen.count) photos")
        if let loss {
            var text = "int8 against f32 on \(loss.photos) other photos: "
            if let same = loss.sameClass, let mean = loss.meanShift, let most = loss.largestShift {
                text +=
                    "the same first class in \(decimals(same * 100, 1)) %, its probability moves by "
                    + "\(decimals(mean, 3)) (at most \(decimals(most, 3))); "
            }
            Terminal.say(text + "cosine of features \(decimals(loss.featureCosine, 4))")
        }
        Terminal.answer(output)
    }
}
