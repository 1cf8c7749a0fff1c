// Attention in ONNX: as the operators that opset 18 has for it.

import GraftNetworks
import GraftTensors

extension Op.Attention: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String {
        let name = site.name
        let sizes: Sizes
        do { sizes = try self.sizes(of: site.shapes.map { ValueType($0) }) } catch {
            throw site.fail(error.explanation)
        }
        var parts = Array(site.inputs.prefix(3))
        if sizes.isPacked {
            let width = heads * sizes.width
            let axis = graph.constant([2], name: name + ".axis")
            parts = [".queries", ".keys", ".values"].enumerated().map { place, suffix in
                let ends = [place, place + 1].map {
                    graph.constant([$0 * width], name: "\(name)\(suffix).\($0)")
                }
                return graph.emit("Slice", name: name + suffix, inputs: [site.x] + ends + [axis])
            }
        }
        func byHead(_ value: String, suffix: String, width: Int, order: [Int]) -> String {
            let shape = graph.constant([0, 0, heads, width], name: name + suffix + ".sizes")
            let split = graph.emit(
                "Reshape", name: name + suffix + ".heads", inputs: [value, shape])
            return graph.emit(
                "Transpose", name: name + suffix, inputs: [split],
                attributes: ["perm": .integers(order)])
        }
        let q = byHead(parts[0], suffix: ".q", width: sizes.width, order: [0, 2, 1, 3])
        let k = byHead(parts[1], suffix: ".k", width: sizes.width, order: [0, 2, 3, 1])
        let v = byHead(parts[2], suffix: ".v", width: sizes.valueWidth, order: [0, 2, 1, 3])
        let factor = graph.constant(
            scale ?? 1 / Float(sizes.width).squareRoot(), name: name + ".scale")
        let scaled = graph.emit("Mul", name: name + ".scaled", inputs: [q, factor])
        var scores = graph.emit("MatMul", name: name + ".scores", inputs: [scaled, k])
        if let bias = sizes.bias, let last = site.inputs.last {
            scores = try biased(scores, by: last, of: bias, sizes, at: site, in: &graph)
        }
        if isCausal {
            let unseen = (0..<sizes.queries).flatMap { query in
                (0..<sizes.keys).map { $0 <= query ? 0 : -Float.infinity }
            }
            let mask = graph.constant(
                unseen, shape: [sizes.queries, sizes.keys], name: name + ".mask")
            scores = graph.emit("Add", name: name + ".seen", inputs: [scores, mask])
        }
        let shares = graph.emit(
            "Softmax", name: name + ".shares", inputs: [scores], attributes: ["axis": -1])
        let mixed = graph.emit("MatMul", name: name + ".mixed", inputs: [shares, v])
        let turned = graph.emit(
            "Transpose", name: name + ".turned", inputs: [mixed],
            attributes: ["perm": [0, 2, 1, 3]])
        let shape = graph.constant([0, 0, heads * sizes.valueWidth], name: name + ".shape")
        return graph.emit("Reshape", name: name, inputs: [turned, shape])
    }

    /// The scores with the bias; one that groups of samples share is added group by group.
    private func biased(
        _ scores: String, by value: String, of bias: Shape, _ sizes: Sizes, at site: ONNXSite,
        in graph: inout ONNXGraph
    ) throws -> String {
        let name = site.name
        guard bias[0] > 1 else {
            return graph.emit("Add", name: name + ".biased", inputs: [scores, value])
        }
        let inner = [heads, sizes.queries, sizes.keys]
        let apart = graph.constant([-1, bias[0]] + inner, name: name + ".groups.sizes")
        let joined = graph.constant([-1] + inner, name: name + ".joined.sizes")
        let groups = graph.emit("Reshape", name: name + ".groups", inputs: [scores, apart])
        let sum = graph.emit("Add", name: name + ".sum", inputs: [groups, value])
        return graph.emit("Reshape", name: name + ".biased", inputs: [sum, joined])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported(kind)
    }
}
