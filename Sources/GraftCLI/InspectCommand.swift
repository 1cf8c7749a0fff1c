// `graft inspect`: what is in a file of weights.

import ArgumentParser
import Crypto
import GraftFormats
import GraftTensors
import OrderedCollections

struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "List the tensors of a file of weights: name, type, shape, bytes.",
        discussion: """
            graft inspect resnet50.safetensors
            graft inspect weights.h5 --json | jq '.tensors[].name'
            graft inspect unpacked_tfhub_module/

            Reads safetensors, Keras (.h5, .weights.h5, .keras), PyTorch, NumPy, ONNX, TFLite and \
            TensorFlow (checkpoints, SavedModels) files, sharded ones by their index, and folders \
            of one of these; the content decides, not the name. No code in a file is ever run.
            """)

    @Argument(help: "The file or folder.") var file: String
    @Option(
        help: "Which state dict of a checkpoint: its key, or what its names begin with (`ema`).")
    var stateDict: String?
    @Flag(help: "Print one JSON object.") var json = false
    @Flag(help: "Add the SHA-256 of each tensor's numbers, dense and little-endian.")
    var digest = false

    func run() throws {
        let kind = try Checkpoint.kind(of: file)
        let state = try Checkpoint.open(file, stateDict: stateDict)
        for remark in state.remarks { Terminal.say("note: \(remark)") }
        var report = Report(
            axes: state.axes.rawValue, bytes: state.byteCount, format: kind.rawValue,
            metadata: state.metadata, parameters: 0, path: file, tensors: [])
        for (name, tensor) in state.tensors {
            report.parameters += tensor.count
            report.tensors.append(
                Row(
                    bytes: tensor.byteCount, dtype: tensor.dtype.rawValue, name: name,
                    sha256: digest ? try sha256(tensor) : nil, shape: tensor.shape.dimensions))
        }
        Terminal.answer(json ? try JSON.line(report) : report.text)
    }

    private func sha256(_ tensor: LazyTensor) throws -> String {
        var hash = SHA256()
        try tensor.stream { hash.update(bufferPointer: $0) }
        return hash.finalize().map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
    }

    private struct Row: Encodable {
        let bytes: Int
        let dtype: String
        let name: String
        let sha256: String?
        let shape: [Int]
    }

    private struct Report: Encodable {
        let axes: String
        let bytes: Int
        let format: String
        let metadata: [String: String]
        var parameters: Int
        let path: String
        var tensors: [Row]

        var text: String {
            let hasDigests = tensors.contains { $0.sha256 != nil }
            var table = Table(
                ["tensor", "type", "shape", "bytes"] + (hasDigests ? ["sha256"] : []),
                numeric: [3])
            for row in tensors {
                table.add(
                    [row.name, row.dtype, Shape(row.shape).description, grouped(row.bytes)]
                        + (row.sha256.map { [$0] } ?? []))
            }
            var lines = [
                table.text, "",
                "\(format): \(grouped(tensors.count)) tensors, \(grouped(parameters)) numbers, "
                    + readableBytes(bytes),
            ]
            if !metadata.isEmpty {
                lines.append("metadata: " + metadata.keys.sorted().joined(separator: ", "))
            }
            return lines.joined(separator: "\n")
        }
    }
}
