// The block of the Swin transformer: Liu et al. 2021, arXiv:2103.14030, section 3.2.

import GraftNetworks
import GraftTensors

/// Attention in windows of a map (N, H, W, C), every second time shifted by half a window, and an MLP.
struct SwinBlock: Layer {
    /// The names of the linear layers of the MLP.
    var perceptron: (widening: String, narrowing: String)
    var heads: Int
    /// The tokens of a side of a window.
    var window: Int
    var isShifted: Bool
    /// The probability that a branch is left out in training.
    var dropRate: Float = 0

    static let epsilon: Float = 1e-5

    func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        let width = graph.shapes[x][3]
        let attended = try Add("add1") {
            Sequential {}
            Sequential {
                MapNorm("norm1", epsilon: Self.epsilon)
                WindowAttention(heads: heads, window: window, isShifted: isShifted)
                DropPath("drop_path1", rate: dropRate)
            }
        }.apply(to: x, in: &graph)
        return try Add("add2") {
            Sequential {}
            Sequential {
                MapNorm("norm2", epsilon: Self.epsilon)
                Linear(perceptron.widening, 4 * width)
                GELU("mlp.act")
                Linear(perceptron.narrowing, width)
                DropPath("drop_path2", rate: dropRate)
            }
        }.apply(to: attended, in: &graph)
    }
}

/// Layer normalisation of each pixel of a map (N, H, W, C).
func MapNorm(_ name: String, epsilon: Float) -> Operation {
    Operation(.layerNorm(epsilon: epsilon, axes: [3]), name)
}

/// Attention among the tokens of each window, with a learned bias for each offset of two tokens.
private struct WindowAttention: Layer {
    let heads: Int
    let window: Int
    let isShifted: Bool

    func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        let plan = WindowPlan(map: graph.shapes[x], window: window, isShifted: isShifted)
        var value = try plan.divided(x, in: &graph)
        let width = graph.shapes[x][3]
        value = try Linear("attn.qkv", 3 * width).apply(to: value, in: &graph)
        var bias = try offsets(plan, in: &graph)
        if let regions = plan.regions {
            let mask = try graph.add(
                .parameter([regions.count, 1, plan.count, plan.count], learns: false),
                name: WindowPlan.mask, inputs: [])
            bias = try graph.add(.add, name: "attn.masked", inputs: [bias, mask])
        }
        value = try graph.add(
            .attention(heads: heads), name: "attn.attention", inputs: [value, bias])
        value = try Linear("attn.proj", width).apply(to: value, in: &graph)
        return try plan.joined(value, in: &graph)
    }

    /// The table of biases ((2w − 1)², heads) as (heads, w², w²): that of query − key, row and column apart.
    private func offsets(
        _ plan: WindowPlan, in graph: inout GraphBuilder
    ) throws(NetworkError) -> Int {
        // A map that is smaller than a window has a smaller window, and the table of the larger one.
        let span = 2 * window - 1
        let table = try graph.add(
            .parameter([span * span, heads], learns: true),
            name: "attn.relative_position_bias_table", inputs: [])
        var value = try graph.add(.view([span, span, heads]), name: "attn.table", inputs: [table])
        for (axis, side) in [plan.height, plan.width].enumerated() {
            let pairs = (0..<side).flatMap { query in
                (0..<side).map { key in query - key + window - 1 }
            }
            value = try graph.add(
                .take(axis: axis, indices: pairs), name: "attn.offsets#", inputs: [value])
        }
        let (h, w) = (plan.height, plan.width)
        value = try graph.add(.view([h, h, w, w, heads]), name: "attn.pairs", inputs: [value])
        value = try graph.add(.transpose([4, 0, 2, 1, 3]), name: "attn.by_head", inputs: [value])
        return try graph.add(.view([heads, h * w, h * w]), name: "attn.bias", inputs: [value])
    }
}

/// The windows of a map, and how it is moved before it is cut.
struct WindowPlan {
    /// The name of the constant that keeps regions apart which the shift brought together.
    static let mask = "attn_mask"

    let map: Shape
    /// The tokens of the sides of a window.
    let height: Int
    let width: Int
    /// The rows and columns that the map is moved by.
    private let shift: Extent
    private let rows: Int
    private let columns: Int

    init(map: Shape, window: Int, isShifted: Bool) {
        self.map = map
        height = min(window, map[1])
        width = min(window, map[2])
        rows = (map[1] + height - 1) / height * height
        columns = (map[2] + width - 1) / width * width
        // One window leaves nothing to shift to.
        let half = isShifted ? window / 2 : 0
        shift = Extent(rows > height ? half : 0, columns > width ? half : 0)
    }

    /// The tokens of a window.
    var count: Int { height * width }

    /// The windows of a map as samples (N · windows, tokens, C).
    func divided(_ x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        var value = x
        if rows > map[1] || columns > map[2] {
            value = try graph.add(
                .padAxes(
                    before: [0, 0, 0, 0], after: [0, rows - map[1], columns - map[2], 0],
                    mode: .constant), name: "attn.padded", inputs: [value])
        }
        value = try rolled(value, by: Extent(shift.height, shift.width), "attn.shifted", in: &graph)
        value = try graph.add(
            .view([0, rows / height, height, columns / width, width, map[3]]),
            name: "attn.cells", inputs: [value])
        value = try graph.add(
            .transpose([0, 1, 3, 2, 4, 5]), name: "attn.cells_first", inputs: [value])
        return try graph.add(.view([-1, count, map[3]]), name: "attn.windows", inputs: [value])
    }

    /// The map of windows, moved back and cut to its size.
    func joined(_ x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        var value = try graph.add(
            .view([-1, rows / height, columns / width, height, width, map[3]]),
            name: "attn.back", inputs: [x])
        value = try graph.add(
            .transpose([0, 1, 3, 2, 4, 5]), name: "attn.rows_first", inputs: [value])
        value = try graph.add(
            .view([-1, rows, columns, map[3]]), name: "attn.map", inputs: [value])
        value = try rolled(
            value, by: Extent(rows - shift.height, columns - shift.width), "attn.restored",
            in: &graph)
        for (axis, size) in [(1, rows), (2, columns)] where size > map[axis] {
            value = try graph.add(
                .slice(start: 0, count: map[axis], axis: axis), name: "attn.cut#",
                inputs: [value])
        }
        return value
    }

    private func rolled(
        _ x: Int, by amount: Extent, _ name: String, in graph: inout GraphBuilder
    ) throws(NetworkError) -> Int {
        var value = x
        for (axis, size, amount) in [(1, rows, amount.height), (2, columns, amount.width)]
        where amount % size != 0 {
            value = try graph.add(
                .take(axis: axis, indices: (0..<size).map { ($0 + amount) % size }),
                name: name + "#", inputs: [value])
        }
        return value
    }

    /// For each window the regions of its tokens; nil where no window has several.
    var regions: [[Int]]? {
        guard shift.height > 0 || shift.width > 0 else { return nil }
        func region(_ place: Int, of size: Int, window: Int, shift: Int) -> Int {
            shift == 0 || place < size - window ? 0 : place < size - shift ? 1 : 2
        }
        return (0..<rows / height).flatMap { i in
            (0..<columns / width).map { j in
                (0..<height).flatMap { y in
                    (0..<width).map { x in
                        3 * region(i * height + y, of: rows, window: height, shift: shift.height)
                            + region(j * width + x, of: columns, window: width, shift: shift.width)
                    }
                }
            }
        }
    }

    /// The mask (windows, 1, tokens, tokens): −100 between tokens of different regions.
    var maskNumbers: LazyTensor? {
        guard shift.height > 0 || shift.width > 0 else { return nil }
        let shape: Shape = [rows / height * (columns / width), 1, count, count]
        return LazyTensor(.f32, shape) {
            let numbers = (regions ?? []).flatMap { window in
                window.flatMap { query in window.map { $0 == query ? 0 : Float(-100) } }
            }
            return Tensor(numbers, shape: shape)
        }
    }
}
