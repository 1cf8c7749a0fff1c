// Windows over any number of axes, as ONNX nodes describe them.

import GraftNetworks
import GraftTensors

/// Steps and padding along each axis after the channels, all of them known.
struct ONNXWindows {
    let kernel: [Int]
    let strides: [Int]
    let dilations: [Int]
    private(set) var before: [Int]
    private(set) var after: [Int]

    var axes: Int { kernel.count }

    /// The windows of a node over axes of these sizes.
    init(_ node: ONNXNode, kernel: [Int], over sizes: [Int]) throws {
        let axes = sizes.count
        let ones = [Int](repeating: 1, count: axes)
        self.kernel = kernel
        strides = node.integers("strides") ?? ones
        dilations = node.integers("dilations") ?? ones
        let pads = node.integers("pads") ?? [Int](repeating: 0, count: 2 * axes)
        let limit = 1...Window.maximumExtent
        guard axes > 0, kernel.count == axes, strides.count == axes, dilations.count == axes,
            pads.count == 2 * axes, (kernel + strides + dilations).allSatisfy(limit.contains),
            pads.allSatisfy({ 0...Window.maximumExtent ~= $0 })
        else {
            throw node.fail(.unfit(.window, [Shape(sizes)]))
        }
        (before, after) = (Array(pads[..<axes]), Array(pads[axes...]))
        switch node.text("auto_pad") ?? "NOTSET" {
        case "NOTSET", "": break
        case "VALID": (before, after) = (ones.map { _ in 0 }, ones.map { _ in 0 })
        case "SAME_UPPER", "SAME_LOWER":
            let isLower = node.text("auto_pad") == "SAME_LOWER"
            for axis in 0..<axes {
                let out = (sizes[axis] + strides[axis] - 1) / strides[axis]
                let total = max((out - 1) * strides[axis] + span(axis) - sizes[axis], 0)
                before[axis] = isLower ? total - total / 2 : total / 2
                after[axis] = total - before[axis]
            }
        case let other: throw node.fail("its padding is `\(other)`")
        }
    }

    /// The elements from the first to the last of a window.
    func span(_ axis: Int) -> Int { dilations[axis] * (kernel[axis] - 1) + 1 }

    /// The number of windows along each axis.
    func counts(over sizes: [Int], roundsUp: Bool, node: ONNXNode) throws -> [Int] {
        try sizes.indices.map { axis in
            let room = sizes[axis] + before[axis] + after[axis] - span(axis)
            guard room >= 0 else { throw node.fail(.unfit(.window, [Shape(sizes)])) }
            let steps = roundsUp ? (room + strides[axis] - 1) / strides[axis] : room / strides[axis]
            // A window that begins in the elements after the last counts nothing.
            let begins = steps * strides[axis] < sizes[axis] + before[axis]
            return (roundsUp && !begins ? steps - 1 : steps) + 1
        }
    }

    /// The attributes of a part of the node over two of the axes; −1 is an axis of one element.
    func attributes(rows: Int, columns: Int) -> ONNXGraph.Attributes {
        let pair = AxisPair(rows: rows, columns: columns)
        return pair.window(
            kernel: kernel, strides: strides, dilations: dilations, pads: [before, after])
    }
}

/// Two of several axes, of which either may be one of a single element that is not among them.
struct AxisPair {
    /// The axis of rows; −1 is one of a single element.
    let rows: Int
    /// The axis of columns; −1 is one of a single element.
    let columns: Int

    /// The numbers of a list for the two; `usual` for an axis of one element.
    func numbers(_ list: [Int], or usual: Int) -> [Int] {
        [rows, columns].map { $0 < 0 ? usual : list[$0] }
    }

    /// The attributes of windows over the two; `pads` is before and after.
    func window(
        kernel: [Int], strides: [Int], dilations: [Int], pads: [[Int]]
    ) -> ONNXGraph.Attributes {
        [
            "kernel_shape": .integers(numbers(kernel, or: 1)),
            "strides": .integers(numbers(strides, or: 1)),
            "dilations": .integers(numbers(dilations, or: 1)),
            "pads": .integers(pads.flatMap { numbers($0, or: 0) }),
        ]
    }
}
