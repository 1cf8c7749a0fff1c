// Many small ONNX models in one process: what ONNX's node cases need.

import Foundation
import Graft
import GraftArchitectures
import GraftExecution
import GraftFormats
import GraftTensors
import OrderedCollections

enum ONNXJobs {
    /// `onnx run`: for each line `MODEL INPUTS.npz OUTPUTS.npz` of standard input runs the model and answers
    /// a line: `ok`, or `refused` and why. What dies ends the process, and the line is not answered.
    static func run(_ arguments: [String]) throws {
        guard arguments == ["run"] else { throw Misuse(arguments: ["onnx"] + arguments) }
        var options = ExecutionOptions()
        options.threads = 1
        while let line = readLine() {
            let parts = line.split(separator: " ").map(String.init)
            guard parts.count == 3 else { throw Misuse(arguments: parts) }
            do {
                try run(model: parts[0], inputs: parts[1], outputs: parts[2], options: options)
                answer("ok")
            } catch let error as any Diagnostic {
                answer("refused \(error.message.replacingOccurrences(of: "\n", with: " "))")
            } catch {
                answer("died \(error)")
            }
        }
    }

    private static func answer(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }

    private static func run(
        model: String, inputs: String, outputs: String, options: ExecutionOptions
    ) throws {
        guard let file = try Models.onnx(at: model) else { throw Misuse(arguments: [model]) }
        var tensors: [String: Tensor] = [:]
        for (name, tensor) in try Npz.read(inputs).tensors { tensors[name] = try tensor.load() }
        let results = try file.run(.planned(tensors, options: options), outputs: file.outputs)
        var state = StateDict()
        for (index, result) in results.enumerated() { state["\(index)"] = LazyTensor(result) }
        try Npz.write(state, to: outputs)
    }
}
