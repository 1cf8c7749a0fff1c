// Attention as ONNX has it, in products and a softmax.

import GraftNetworks
import GraftTensors

/// `Attention` and its kin.
enum ONNXAttention {
    /// softmax(scale · Q Kᵀ + bias) V over heads, with keys and values of before.
    static func read(_ node: ONNXNode, in reader: inout ONNXReader) throws -> [ONNXValue] {
        let isFlat = try reader.shape(of: try node.value(), for: node).rank == 3
        func heads(
            _ index: Int, counted name: String, in reader: inout ONNXReader
        ) throws -> ONNXValue {
            let value = try node.value(at: index)
            let shape = try reader.shape(of: value, for: node)
            guard isFlat else { return value }
            let count = node.integer(name, or: 0)
            guard shape.rank == 3, count > 0, shape[2] % count == 0 else {
                throw node.fail(.division(count, .heads, shape))
            }
            let parts = try reader.reshape(
                value, to: [shape[0], shape[1], count, shape[2] / count], for: node)
            return try reader.transpose(parts, by: [0, 2, 1, 3], for: node)
        }
        let q = try heads(0, counted: "q_num_heads", in: &reader)
        var k = try heads(1, counted: "kv_num_heads", in: &reader)
        var v = try heads(2, counted: "kv_num_heads", in: &reader)
        func optional(_ index: Int) -> ONNXValue? {
            node.inputs.indices.contains(index) ? node.inputs[index] : nil
        }
        var offset = 0
        if let key = optional(4), let value = optional(5) {
            offset = try reader.shape(of: key, for: node)[2]
            k = try reader.concatenate([key, k].filter { !isEmpty($0) }, axis: 2, for: node)
            v = try reader.concatenate([value, v].filter { !isEmpty($0) }, axis: 2, for: node)
        }
        let (present, presentValue) = (k, v)
        let (shape, keys) = (
            try reader.shape(of: q, for: node), try reader.shape(of: k, for: node)
        )
        guard shape.rank == 4, keys.rank == 4, shape[1] % keys[1] == 0 else {
            throw node.fail(.unfit(.heads, [shape, keys]))
        }
        k = try repeated(k, to: shape[1], for: node, in: &reader)
        v = try repeated(v, to: shape[1], for: node, in: &reader)
        var bias = try optional(3).flatMap { isEmpty($0) ? nil : $0 }.map {
            try additive($0, width: keys[2], for: node, in: &reader)
        }
        func add(_ mask: ONNXValue, in reader: inout ONNXReader) throws {
            bias = try bias.map { try reader.apply("Add", to: $0, mask, for: node) } ?? mask
        }
        let lengths = try node.inputs.indices.contains(6) ? node.tensor(at: 6)?.doubles : nil
        let window = Frame(
            rows: shape[2], columns: keys[2],
            offsets: lengths.map { $0.map { Int($0) - shape[2] } } ?? [offset])
        if node.integer("is_causal", or: 0) != 0 { try add(window.mask { $1 <= $0 }, in: &reader) }
        let left = node.integer("left_window_size", or: -1)
        let right = node.integer("right_window_size", or: -1)
        if left >= 0 { try add(window.mask { $0 - $1 <= left }, in: &reader) }
        if right >= 0 { try add(window.mask { $1 - $0 <= right }, in: &reader) }
        if let lengths {
            let known = lengths.map { Int($0) }
            let values = known.flatMap { length in
                (0..<keys[2]).map { $0 < length ? Float(0) : -Float.infinity }
            }
            try add(.numbers(values, shape: [known.count, 1, 1, keys[2]]), in: &reader)
        }
        // Half of the scale to either side, as the definition has it.
        let scale = node.attribute("scale") == nil ? 1 / Float(shape[3]) : 0
        let root =
            scale > 0
            ? scale.squareRoot().squareRoot() : node.number("scale", or: 1).squareRoot()
        let turned = try reader.transpose(k, by: [0, 1, 3, 2], for: node)
        var scores = try reader.apply(
            "MatMul", to: try reader.apply("Mul", to: q, .number(root), for: node),
            try reader.apply("Mul", to: turned, .number(root), for: node), for: node)
        let mode = node.integer("qk_matmul_output_mode", or: 0)
        var shown = scores
        let cap = node.number("softcap", or: 0)
        if cap > 0 {
            let share = try reader.apply("Div", to: scores, .number(cap), for: node)
            let bent = try reader.apply("Tanh", to: share, for: node)
            scores = try reader.apply("Mul", to: bent, .number(cap), for: node)
        }
        if mode == 1 { shown = scores }
        if let bias { scores = try reader.apply("Add", to: scores, bias, for: node) }
        if mode == 2 { shown = scores }
        var shares: ONNXValue
        if let bias {
            shares = try guarded(scores, by: bias, for: node, in: &reader)
        } else {
            shares = try reader.apply("Softmax", to: scores, with: ["axis": -1], for: node)
        }
        if mode == 3 { shown = shares }
        var y = try reader.apply("MatMul", to: shares, v, for: node)
        if isFlat {
            y = try reader.transpose(y, by: [0, 2, 1, 3], for: node)
            y = try reader.reshape(y, to: [shape[0], shape[2], -1], for: node)
        }
        return [y, present, presentValue, shown]
    }

    private static func isEmpty(_ value: ONNXValue) -> Bool {
        if case .constant(let tensor) = value { tensor.count == 0 } else { false }
    }

    /// The rows of queries and the columns of keys, of which each sample has its own beginning.
    private struct Frame {
        let rows: Int
        let columns: Int
        /// The keys before the first query, for all samples or for each.
        let offsets: [Int]

        /// 0 where a query at one place may look at a key at another, −∞ elsewhere.
        func mask(_ sees: (_ query: Int, _ key: Int) -> Bool) -> ONNXValue {
            let values = offsets.flatMap { offset in
                (0..<rows).flatMap { row in
                    (0..<columns).map { sees(row + offset, $0) ? Float(0) : -Float.infinity }
                }
            }
            return .numbers(
                values,
                shape: offsets.count == 1 ? [rows, columns] : [offsets.count, 1, rows, columns])
        }
    }

    /// A mask that is added; truth values are 0 and −∞. What lies beyond its last column is masked.
    private static func additive(
        _ mask: ONNXValue, width: Int, for node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        var mask = mask
        if reader.element(of: mask) == .bool {
            mask = try reader.apply(
                "Where", to: mask, .number(0), .number(-.infinity), for: node)
        }
        let shape = try reader.shape(of: mask, for: node)
        guard let own = shape.dimensions.last, own < width, own > 0 else { return mask }
        var amounts = [Int](repeating: 0, count: 2 * shape.rank)
        amounts[2 * shape.rank - 1] = width - own
        return try reader.apply(
            "Pad", to: mask, .integers(amounts), .number(-.infinity), for: node)
    }

    /// A softmax whose rows are zeros where a bias masks all of a row.
    private static func guarded(
        _ scores: ONNXValue, by bias: ONNXValue, for node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let largest = try reader.apply("ReduceMax", to: bias, .integers([-1]), for: node)
        let isMasked = try reader.apply("Equal", to: largest, .number(-.infinity), for: node)
        let safe = try reader.apply("Where", to: isMasked, .number(0), scores, for: node)
        let shares = try reader.apply("Softmax", to: safe, with: ["axis": -1], for: node)
        return try reader.apply("Where", to: isMasked, .number(0), shares, for: node)
    }

    /// Each head of keys or values as often as queries share it.
    static func repeated(
        _ value: ONNXValue, to heads: Int, for node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let shape = try reader.shape(of: value, for: node)
        guard shape.rank == 4, shape[1] != heads else { return value }
        guard shape[1] > 0, heads % shape[1] == 0 else {
            throw node.fail(.division(shape[1], .heads, [heads]))
        }
        let parts = try reader.reshape(
            value, to: [shape[0], shape[1], 1, shape[2], shape[3]], for: node)
        let wide = try reader.apply(
            "Expand", to: parts,
            .integers([shape[0], shape[1], heads / shape[1], shape[2], shape[3]]), for: node)
        return try reader.reshape(wide, to: [shape[0], heads, shape[2], shape[3]], for: node)
    }

    /// `RotaryEmbedding`: pairs of numbers turned by the angle of their place.
    static func readRotary(_ node: ONNXNode, in reader: inout ONNXReader) throws -> ONNXValue {
        var x = try node.value()
        let shape = try reader.shape(of: x, for: node)
        guard shape.rank == 3 || shape.rank == 4 else {
            throw node.fail(.axes(shape))
        }
        let heads = shape.rank == 4 ? shape[1] : node.integer("num_heads", or: 0)
        guard heads > 0, shape.rank == 4 || shape[2] % heads == 0 else {
            throw node.fail(.division(heads, .heads, shape))
        }
        let tokens = shape.rank == 4 ? shape[2] : shape[1]
        let width = shape.rank == 4 ? shape[3] : shape[2] / heads
        // (N, T, heads, width)
        x =
            shape.rank == 4
            ? try reader.transpose(x, by: [0, 2, 1, 3], for: node)
            : try reader.reshape(x, to: [shape[0], tokens, heads, width], for: node)
        let named = node.integer("rotary_embedding_dim", or: 0)
        let turning = named == 0 ? width : named
        guard 2...width ~= turning, turning % 2 == 0 else {
            throw node.fail(.unfit(.turnedNumbers, [[turning], [width]]))
        }
        func cache(_ index: Int, in reader: inout ONNXReader) throws -> ONNXValue {
            var table = try node.value(at: index)
            if node.inputs.count > 3, let places = node.inputs[3] {
                table = try reader.apply("Gather", to: table, places, for: node)
            }
            let sizes = try reader.shape(of: table, for: node)
            guard sizes.rank == 3 else { throw node.fail(.unfit(.table, [sizes])) }
            return try reader.reshape(table, to: [sizes[0], sizes[1], 1, sizes[2]], for: node)
        }
        let (cosine, sine) = (try cache(1, in: &reader), try cache(2, in: &reader))
        let turned = try reader.slice(x, axis: 3, from: 0, to: turning, for: node)
        let isInterleaved = node.integer("interleaved", or: 0) != 0
        func half(_ index: Int, in reader: inout ONNXReader) throws -> ONNXValue {
            isInterleaved
                ? try reader.slice(turned, axis: 3, from: index, to: turning, step: 2, for: node)
                : try reader.slice(
                    turned, axis: 3, from: index * turning / 2, to: (index + 1) * turning / 2,
                    for: node)
        }
        let (a, b) = (try half(0, in: &reader), try half(1, in: &reader))
        let real = try reader.apply(
            "Sub", to: try reader.apply("Mul", to: cosine, a, for: node),
            try reader.apply("Mul", to: sine, b, for: node), for: node)
        let other = try reader.apply(
            "Add", to: try reader.apply("Mul", to: sine, a, for: node),
            try reader.apply("Mul", to: cosine, b, for: node), for: node)
        var y: ONNXValue
        if isInterleaved {
            let sizes = [shape[0], tokens, heads, turning / 2, 1]
            let pairs = try [real, other].map { try reader.reshape($0, to: sizes, for: node) }
            let joined = try reader.concatenate(pairs, axis: 4, for: node)
            y = try reader.reshape(joined, to: [shape[0], tokens, heads, turning], for: node)
        } else {
            y = try reader.concatenate([real, other], axis: 3, for: node)
        }
        if turning < width {
            let rest = try reader.slice(x, axis: 3, from: turning, to: width, for: node)
            y = try reader.concatenate([y, rest], axis: 3, for: node)
        }
        return shape.rank == 4
            ? try reader.transpose(y, by: [0, 2, 1, 3], for: node)
            : try reader.reshape(y, to: shape.dimensions, for: node)
    }

    /// `LinearAttention`: a state that every token reads and writes.
    static func readLinear(_ node: ONNXNode, in reader: inout ONNXReader) throws -> [ONNXValue] {
        let (queryHeads, heads) = (
            node.integer("q_num_heads", or: 0), node.integer("kv_num_heads", or: 0)
        )
        let rule = node.text("update_rule") ?? "gated_delta"
        let shape = try reader.shape(of: try node.value(), for: node)
        guard queryHeads > 0, heads > 0, queryHeads % heads == 0, shape.rank == 3,
            shape[2] % queryHeads == 0, ["linear", "gated", "delta", "gated_delta"].contains(rule)
        else { throw node.fail(.unfit(.heads, [[queryHeads, heads], shape])) }
        let (samples, tokens, width) = (shape[0], shape[1], shape[2] / queryHeads)
        let valueWidth = try reader.shape(of: try node.value(at: 2), for: node)[2] / heads
        func optional(_ index: Int) -> ONNXValue? {
            node.inputs.indices.contains(index) ? node.inputs[index] : nil
        }
        /// Token `index` of an input, each of `count` heads as a matrix of these sizes.
        func token(
            _ index: Int, of input: Int, heads count: Int, sizes: [Int], in reader: inout ONNXReader
        ) throws -> ONNXValue {
            let cut = try reader.slice(
                try node.value(at: input), axis: 1, from: index, to: index + 1, for: node)
            return try reader.reshape(cut, to: [samples, count] + sizes, for: node)
        }
        var state =
            try optional(3)
            ?? reader.apply(
                "Expand", to: .numbers([0], shape: [1]),
                .integers([samples, heads, width, valueWidth]), for: node)
        let given = node.number("scale", or: 0)
        let scale = given == 0 ? 1 / Float(width).squareRoot() : given
        var outputs: [ONNXValue] = []
        for index in 0..<tokens {
            let k = try token(index, of: 1, heads: heads, sizes: [width, 1], in: &reader)
            var v = try token(index, of: 2, heads: heads, sizes: [1, valueWidth], in: &reader)
            if rule.hasPrefix("gated"), let decay = optional(4) {
                let last = try reader.shape(of: decay, for: node)[2]
                let gate = try token(
                    index, of: 4, heads: heads, sizes: [last / heads, 1], in: &reader)
                state = try reader.apply(
                    "Mul", to: state, try reader.apply("Exp", to: gate, for: node), for: node)
            }
            if rule.hasSuffix("delta"), let beta = optional(5) {
                let read = try reader.apply(
                    "MatMul", to: try reader.transpose(k, by: [0, 1, 3, 2], for: node), state,
                    for: node)
                let last = try reader.shape(of: beta, for: node)[2]
                let share = try token(index, of: 5, heads: last, sizes: [1, 1], in: &reader)
                v = try reader.apply(
                    "Mul", to: share, try reader.apply("Sub", to: v, read, for: node), for: node)
            }
            state = try reader.apply(
                "Add", to: state, try reader.apply("MatMul", to: k, v, for: node), for: node)
            let q = try token(index, of: 0, heads: queryHeads, sizes: [1, width], in: &reader)
            let y = try reader.apply(
                "MatMul", to: q, try repeated(state, to: queryHeads, for: node, in: &reader),
                for: node)
            let scaled = try reader.apply("Mul", to: y, .number(scale), for: node)
            outputs.append(
                try reader.reshape(scaled, to: [samples, 1, queryHeads * valueWidth], for: node))
        }
        return [try reader.concatenate(outputs, axis: 1, for: node), state]
    }

    /// `CausalConvWithState`: a convolution of each channel over what came before.
    static func readCausalConvolution(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> [ONNXValue] {
        let x = try node.value()
        let shape = try reader.shape(of: x, for: node)
        let kernel = try reader.shape(of: try node.value(at: 1), for: node)
        guard shape.rank == 3, kernel.rank == 3 else {
            throw node.fail(.unfit(.kernel, [shape, kernel]))
        }
        let past = kernel[2] - 1
        var padded = x
        if past > 0 {
            let state =
                node.inputs.count > 3 && node.inputs[3] != nil
                ? node.inputs[3]
                : .numbers(
                    [Float](repeating: 0, count: shape[0] * shape[1] * past),
                    shape: [shape[0], shape[1], past])
            padded = try reader.concatenate([state, x].compactMap(\.self), axis: 2, for: node)
        }
        var inputs: [ONNXValue?] = [padded, node.inputs[1]]
        if node.inputs.count > 2, let bias = node.inputs[2] { inputs.append(bias) }
        var y = try reader.applyAll(
            "Conv", to: inputs, with: ["group": .integer(shape[1])], for: node)[0]
        if ["silu", "swish"].contains(node.text("activation") ?? "none") {
            y = try reader.apply(
                "Mul", to: y, try reader.apply("Sigmoid", to: y, for: node), for: node)
        }
        let length = shape[2] + past
        guard past > 0 else { return [y, .numbers([], shape: [shape[0], shape[1], 0])] }
        return [y, try reader.slice(padded, axis: 2, from: shape[2], to: length, for: node)]
    }

    /// `TensorScatter`: an update written into a cache from a place on, for each sample its own.
    static func readCacheUpdate(_ node: ONNXNode, in reader: inout ONNXReader) throws -> ONNXValue {
        let shape = try reader.shape(of: try node.value(), for: node)
        let update = try reader.shape(of: try node.value(at: 1), for: node)
        let axis = try node.axis(node.integer("axis", or: -2), rank: shape.rank)
        guard axis > 0, update.rank == shape.rank, update.count <= ONNXConstants.maximumCount else {
            throw node.fail(.unfit(.values, [update, shape]))
        }
        try reader.spend(update.count, on: node)
        let starts =
            try node.inputs.count > 2
            ? node.tensor(at: 2)?.doubles : nil
        let isCircular = node.text("mode") == "circular"
        let inner = update.dimensions[(axis + 1)...].reduce(1, *)
        let perSample = update.dimensions[1...].reduce(1, *)
        let indices = try (0..<update.count).map { place -> Int in
            let start = Int(starts?[place / perSample] ?? 0)
            let index = start + place / inner % update[axis]
            let wrapped = isCircular ? index % shape[axis] : index
            guard 0..<shape[axis] ~= wrapped else {
                throw node.fail(.place(index, count: shape[axis]))
            }
            return wrapped
        }
        return try reader.apply(
            "ScatterElements", to: node.inputs[0], .integers(indices, shape: update),
            node.inputs[1],
            with: ["axis": .integer(axis)], for: node)
    }
}
