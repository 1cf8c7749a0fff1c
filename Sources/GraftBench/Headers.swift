// Opening a model: the header of a safetensors file beside Foundation's JSON decoder.

import FoundationEssentials
import GraftFormats
import GraftTensors

func benchHeader(_ bench: Bench) throws {
    struct Entry: Decodable {
        let dtype: String
        let shape: [Int]
        let data_offsets: [Int]
    }
    let path = FileManager.default.temporaryDirectory.appendingPathComponent(
        "graft-bench-\(ProcessInfo.processInfo.processIdentifier).safetensors"
    ).path
    defer { try? FileManager.default.removeItem(atPath: path) }
    var state = StateDict()
    let tensor = LazyTensor(Tensor(numbers(16), shape: [4, 4]))
    for index in 0..<2000 { state["layers.\(index).conv.weight"] = tensor }
    try Safetensors.write(state, to: path)
    let file = try Data(contentsOf: URL(fileURLWithPath: path))
    let length = file.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    let header = file[8..<(8 + length)]
    try bench(
        "header of 2000 tensors",
        plain: (
            "JSONDecoder",
            { keep(try JSONDecoder().decode([String: Entry].self, from: Data(header)).count) }
        )
    ) {
        keep(try Safetensors.read(path).count)
    }
}
