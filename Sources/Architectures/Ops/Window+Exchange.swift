// The geometry of windows in ONNX and Keras: kernel, stride, dilation and padding.

import GraftNetworks
import GraftTensors

extension Window {
    /// The attributes of a window of ONNX over the map that a node reads.
    func onnxAttributes(at site: ONNXSite) -> ONNXGraph.Attributes {
        onnxAttributes(from: site.before, to: site.after)
    }

    /// The attributes of a window that makes a map of shape `after` of one of shape `before`.
    func onnxAttributes(from before: Shape, to after: Shape) -> ONNXGraph.Attributes {
        let padding = resolvedPadding(height: before[2], width: before[3])
        // Where an incomplete last window counts, it reaches over the padding.
        func reach(_ key: KeyPath<Extent, Int>, axis: Int, from start: Int, to end: Int) -> Int {
            let span = dilation[keyPath: key] * (kernel[keyPath: key] - 1) + 1
            return max(end, (after[axis] - 1) * stride[keyPath: key] + span - before[axis] - start)
        }
        let whole = Padding(
            top: padding.top, left: padding.left,
            bottom: reach(\.height, axis: 2, from: padding.top, to: padding.bottom),
            right: reach(\.width, axis: 3, from: padding.left, to: padding.right))
        var attributes: ONNXGraph.Attributes = [
            "kernel_shape": .extent(kernel), "strides": .extent(stride), "pads": .padding(whole),
        ]
        if dilation != 1 { attributes.append(.extent(dilation), named: "dilations") }
        return attributes
    }

    /// The window of an ONNX node with a kernel of this height and width, over the map of node `x`.
    init(_ node: ONNXNode, kernel: [Int], over x: Int, in reader: ONNXReader) throws {
        // A row is a map of one.
        let isRow = kernel.count == 1
        func both(_ sizes: [Int]?) -> [Int] {
            guard isRow else { return sizes ?? [1, 1] }
            return [1] + (sizes ?? [1])
        }
        let strides = both(node.integers("strides"))
        let dilations = both(node.integers("dilations"))
        let kernel = both(kernel)
        var pads = node.integers("pads") ?? [Int](repeating: 0, count: isRow ? 2 : 4)
        if isRow, pads.count == 2 { pads = [0, pads[0], 0, pads[1]] }
        let misfit = node.fail("its window is not two-dimensional")
        guard kernel.count == 2, strides.count == 2, dilations.count == 2, pads.count == 4 else {
            throw misfit
        }
        let padding: WindowPadding
        switch node.text("auto_pad") ?? "NOTSET" {
        case "NOTSET", "":
            padding = .explicit(
                Padding(top: pads[0], left: pads[1], bottom: pads[2], right: pads[3]))
        case "VALID": padding = .valid
        case "SAME_UPPER": padding = .same
        case "SAME_LOWER": padding = .same
        case let other: throw node.fail("its padding is `\(other)`")
        }
        self.init(
            kernel: Extent(kernel[0], kernel[1]), stride: Extent(strides[0], strides[1]),
            dilation: Extent(dilations[0], dilations[1]), padding: padding,
            roundsUp: node.integer("ceil_mode", or: 0) == 1)
        guard node.text("auto_pad") == "SAME_LOWER" else { return }
        // The amounts of SAME_UPPER with the odd one first: those of one size, but for steps of 1.
        let anySize = node.fail("its padding is `SAME_LOWER`, for images of any size")
        guard reader.hasFixedSize || stride == 1 else { throw anySize }
        let map = reader.builder.shapes[x]
        guard map.rank == 4, [kernel, strides, dilations].allSatisfy({ $0.allSatisfy { $0 > 0 } })
        else { throw misfit }
        let upper = resolvedPadding(height: map[2], width: map[3])
        self.padding = .explicit(
            Padding(
                top: upper.bottom, left: upper.right, bottom: upper.top, right: upper.left))
    }
}

extension KerasModel {
    /// The settings of a Keras window over a map of this shape, and the layer before it where its
    /// padding takes one.
    mutating func windowed(
        _ window: Window, over map: Shape, at site: KerasSite
    ) -> (x: Int, config: [String: JSONTree]) {
        var x = site.x
        let isSame: Bool
        switch window.padding {
        case .same: isSame = true
        case .explicit(let padding) where padding == .zero: isSame = false
        case .explicit(let padding) where window.stride == 1 && window.centres(padding):
            isSame = true
        case .explicit, .zeroSame:
            let padding = window.resolvedPadding(height: map[2], width: map[3])
            x = zeroPadding(padding, of: x, shape: map, at: site, suffix: "_pad")
            isSame = false
        }
        return (
            x,
            [
                "kernel_size": .extent(window.kernel), "strides": .extent(window.stride),
                "padding": isSame ? "same" : "valid", "dilation_rate": .extent(window.dilation),
                "activation": "linear", "data_format": "channels_last",
            ]
        )
    }
}

extension Window {
    /// Whether a padding is half the window on every side: at stride 1 TensorFlow's SAME.
    fileprivate func centres(_ padding: Padding) -> Bool {
        padding.top == padding.bottom && padding.left == padding.right
            && padding.top * 2 == dilation.height * (kernel.height - 1)
            && padding.left * 2 == dilation.width * (kernel.width - 1)
    }
}

extension Window {
    /// The window of a Keras convolution.
    init(_ layer: KerasLayerConfig) throws {
        self.init(
            kernel: try layer.extent("kernel_size"), stride: try layer.extent("strides", or: 1),
            dilation: try layer.extent("dilation_rate", or: 1), padding: try layer.border())
    }

    /// The window of a Keras pool.
    init(pooling layer: KerasLayerConfig) throws {
        let size = try layer.extent("pool_size", or: 2)
        self.init(
            kernel: size, stride: try layer.extent("strides", or: size),
            padding: try layer.border())
    }
}
