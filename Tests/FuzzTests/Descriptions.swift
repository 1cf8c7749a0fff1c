// The readers of networks: graphs in native models, Keras configurations, ONNX.

import Foundation
import Graft
import GraftArchitectures
import GraftFormats
import GraftImages
import GraftNetworks
import GraftTensors

extension Parser {
    static let descriptions: [Parser] = [
        Parser(name: "graph", seeds: []) { bytes, _ in
            let graph = try Graph.decode(json: String(decoding: bytes, as: UTF8.self))
            _ = graph.parameterCount
            _ = graph.classes
            _ = try graph.json()
        },
        Parser(name: "model", seeds: []) { bytes, bench in
            let model = try Model.open(bench.file("x.safetensors", bytes))
            _ = model.preprocessing.shape
        },
        Parser(name: "preprocessing", seeds: []) { bytes, _ in
            guard let it = try? JSONDecoder().decode(Preprocessing.self, from: Data(bytes)) else {
                return
            }
            try it.validate()
            guard it.height * it.width <= 1 << 20 else { return }
            let photo = try Image(width: 3, height: 2, pixels: [UInt8](repeating: 7, count: 18))
            _ = try it.tensor(photo)
        },
        Parser(name: "keras-config", seeds: []) { bytes, _ in
            let (graph, _, _) = try KerasConfig.open(
                String(decoding: bytes, as: UTF8.self), state: StateDict(axes: .keras))
            _ = graph.parameterCount
        },
        Parser(name: "onnx", seeds: ["onnx"]) { bytes, bench in
            let path = try bench.file("x.onnx", bytes)
            let state = try Checkpoint.open(path)
            guard state.byteCount < 1 << 24 else { return }
            let (graph, _, _) = try ONNXImport.open(path, initializers: state)
            _ = graph.parameterCount
        },
        Parser(name: "tflite-graph", seeds: ["graph.tflite"]) { bytes, bench in
            let path = try bench.file("x.tflite", bytes)
            let state = try Checkpoint.open(path)
            guard state.byteCount < 1 << 24 else { return }
            let model = try TFLiteFile.model(at: path, weights: state)
            _ = try TFLiteImport.read(model).graph.parameterCount
        },
        Parser(name: "pt2", seeds: ["pt2"]) { bytes, bench in
            let path = try bench.file("x.pt2", bytes)
            let state = try Checkpoint.open(path)
            guard state.byteCount < 1 << 24, try Checkpoint.kind(of: path) == .exportedProgram
            else { return }
            let program = try ExportedProgramFile.program(at: path)
            let (graph, _, _) = try ExportedProgramImport.read(program, weights: state)
            _ = graph.parameterCount
        },
    ]
}
