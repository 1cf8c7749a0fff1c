// Pooling of every kind: forward.

import CDNNL
import GraftNetworks
import GraftTensors

extension Compiler {
    /// A pooling and what its backward needs.
    struct Pooled {
        var output: Memory
        var primitive: Primitive
        var workspace: Memory?
        var algorithm: dnnl_alg_kind_t
        var geometry: graft_window
        /// The value as the primitive wrote it, before dimensions of 1 were dropped.
        var raw: Memory
        var input: Memory
        /// Zeros that were put around the map before, and its shape with them.
        var padded: (padding: Padding, shape: Shape)?
    }

    /// Whether a pool is one primitive: the cells of an adaptive one may differ in size.
    func dividesEvenly(_ node: Node, _ input: Shape) -> Bool {
        guard case .adaptiveAveragePool(let cells) = node.op else { return true }
        return input[2] % cells.height == 0 && input[3] % cells.width == 0
    }

    func pool(
        _ node: Node, _ source: Memory, _ input: Shape, _ output: Shape, extra: Padding,
        training: Bool
    ) throws -> Pooled {
        if case .maxPool(let zeroed) = node.op, case .zeroSame = zeroed.window.padding {
            var window = zeroed.window
            // The zeros are values here, and oneDNN pads a maximum with −∞.
            let p = window.resolvedPadding(height: input[2], width: input[3])
            let shape: Shape = [
                input[0], input[1], input[2] + p.top + p.bottom, input[3] + p.left + p.right,
            ]
            window.padding = .valid
            let pad = Node(name: node.name, op: .pad(p, value: 0), inputs: [0])
            let value = try plainLoop(pad, [source], [input, shape], 1)
            var pooled = try pool(
                Node(name: node.name, op: .maxPool(window), inputs: [0]), value, shape, output,
                extra: extra, training: training)
            pooled.padded = (p, shape)
            return pooled
        }
        var map = output
        let window: Window
        var algorithm = dnnl_pooling_max
        switch node.op {
        case .maxPool(let op): window = op.window
        case .averagePool(let op):
            window = op.window
            algorithm =
                op.countsPadding
                ? dnnl_pooling_avg_include_padding : dnnl_pooling_avg_exclude_padding
            if op.countsPadding, op.window.roundsUp {
                throw ExecutionError.unsupported(
                    layer: node.name, reason: "rounds up and counts padding at once")
            }
        case .globalAveragePool, .globalMaxPool:
            window = Window(kernel: Extent(input[2], input[3]))
            if case .globalAveragePool = node.op { algorithm = dnnl_pooling_avg_exclude_padding }
            map = [input[0], input[1], 1, 1]
        case .adaptiveAveragePool(let op):
            // What does not divide is a loop: see `dividesEvenly`.
            let cell = Extent(input[2] / op.height, input[3] / op.width)
            window = Window(kernel: cell, stride: cell)
            algorithm = dnnl_pooling_avg_exclude_padding
        default: throw ExecutionError.unsupported(layer: node.name, reason: "is no pooling")
        }
        var geometry = self.window(window, input: input, output: map, extra: extra)
        let kind = training ? dnnl_forward_training : dnnl_forward_inference
        let dst = try Descriptor.any(map.dimensions, type: source.descriptor.type)
        let primitive = try Primitive("plan layer `\(node.name)`", engine) { pd in
            source.descriptor.withPointer { src in
                dst.withPointer {
                    graft_pool(
                        &pd, engine.engine, kind, algorithm, src, $0, &geometry,
                        engine.attributes, nil)
                }
            }
        }
        note(node, primitive)
        let raw = try memory(try primitive.descriptor(dnnl_query_dst_md))
        raw.quantum = source.quantum
        var arguments = [(DNNL_ARG_SRC, source), (DNNL_ARG_DST, raw)]
        var workspace: Memory?
        if training, algorithm == dnnl_pooling_max {
            let space = try memory(try primitive.descriptor(dnnl_query_workspace_md))
            arguments.append((DNNL_ARG_WORKSPACE, space))
            workspace = space
        }
        append(primitive, arguments)
        let value =
            output.rank == 2 ? try plain(raw, map.dimensions, as: output.dimensions) : raw
        return Pooled(
            output: value, primitive: primitive, workspace: workspace, algorithm: algorithm,
            geometry: geometry, raw: raw, input: source)
    }
}
