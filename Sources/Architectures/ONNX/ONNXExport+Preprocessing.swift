// The way from pixels to a network's input as ONNX operators: any size of image, resize, crop, arithmetic.

import GraftNetworks
internal import GraftSchemas
import GraftTensors

extension ONNXExport {
    /// The preprocessing of an image of any size: (N, H, W, 3) of bytes, red first,
    /// becomes `(x[source] · scale + shift)` of the network's size.
    public struct Input: Sendable {
        /// A resize kernel.
        public enum Kernel: Sendable {
            /// Pillow's nearest neighbour.
            case nearest
            /// Pillow's triangle, widened when shrinking.
            case triangle
            /// Pillow's cubic of a = −½, widened when shrinking.
            case cubic
            /// TensorFlow's bilinear: four neighbours at any scale, fractions kept.
            case fourNeighbours
        }
        /// The size to which an image is resized before the centre is cut out.
        public enum Resize: Sendable {
            /// Both sides.
            case sides(height: Int, width: Int)
            /// The shorter side.
            case shorterSide(Int)
        }

        /// The size to which an image is resized.
        public var resize: Resize
        /// The resize kernel.
        public var kernel: Kernel
        /// For each channel of the network, the channel of RGB that it comes from; one channel is
        /// the luma of them.
        public var sources: [Int]
        /// The factor by channel.
        public var scale: [Float]
        /// The addend by channel.
        public var shift: [Float]
        /// Whether half a pixel is dropped where the centre is cut out; else it goes to the even
        /// neighbour.
        public var cropsDown = false

        /// A preprocessing.
        public init(
            resize: Resize, kernel: Kernel, sources: [Int], scale: [Float], shift: [Float]
        ) {
            self.resize = resize
            self.kernel = kernel
            self.sources = sources
            self.scale = scale
            self.shift = shift
        }
    }
}

extension ONNXGraph {
    /// Adds the preprocessing and returns the name of the network's input.
    mutating func prepare(_ input: ONNXExport.Input?, size: Extent) -> String {
        guard let input else { return "input" }
        var x = emit(
            "Transpose", name: "image.first", inputs: ["input"],
            attributes: ["perm": [0, 3, 1, 2]])
        if input.sources.count == 1 { x = luma(of: x) }
        x = resized(x, as: input)
        x = cropped(x, as: input, to: size)
        if case .fourNeighbours = input.kernel {} else { x = float(x, name: "image.float") }
        let channels = input.scale.count
        if channels > 1, input.sources != Array(0..<channels) {
            let order = constant(input.sources, name: "image.order")
            x = emit(
                "Gather", name: "image.ordered", inputs: [x, order], attributes: ["axis": 1])
        }
        let scale = constant(input.scale, shape: [1, channels, 1, 1], name: "image.scale")
        let shift = constant(input.shift, shape: [1, channels, 1, 1], name: "image.shift")
        x = emit("Mul", name: "image.scaled", inputs: [x, scale])
        return emit("Add", name: "image.normalized", inputs: [x, shift])
    }

    private mutating func float(_ x: String, name: String) -> String {
        emit("Cast", name: name, inputs: [x], attributes: ["to": 1])
    }

    /// Adds the height and the width of a map.
    private mutating func extent(of x: String, name: String) -> String {
        emit("Shape", name: name, inputs: [x], attributes: ["start": 2, "end": 4])
    }

    /// ⌊(19595 R + 38470 G + 7471 B + 2¹⁵) / 2¹⁶⌋: all of it is exact in 32-bit floats.
    private mutating func luma(of x: String) -> String {
        let numbers = float(x, name: "image.colors")
        let weights = constant([19595, 38470, 7471], shape: [1, 3, 1, 1], name: "image.luma")
        let half = constant([32768], shape: [1], name: "image.half")
        let sum = emit("Conv", name: "image.sum", inputs: [numbers, weights, half])
        let share = constant(1.0 / 65536, name: "image.share")
        let exact = emit("Mul", name: "image.exact", inputs: [sum, share])
        let whole = emit("Floor", name: "image.whole", inputs: [exact])
        return emit("Cast", name: "image.grey", inputs: [whole], attributes: ["to": 2])
    }

    /// Resizes (N, C, H, W) of bytes. Bytes stay bytes, rounded after either pass as Pillow does, but
    /// with TensorFlow's kernel.
    private mutating func resized(_ x: String, as input: ONNXExport.Input) -> String {
        var x = x
        if case .fourNeighbours = input.kernel { x = float(x, name: "image.float") }
        let channels = constant([input.sources.count == 1 ? 1 : 3], name: "image.channels")
        let batch = emit(
            "Shape", name: "image.batch", inputs: [x], attributes: ["start": 0, "end": 1])
        let sides: String
        switch input.resize {
        case .sides(let height, let width): sides = constant([height, width], name: "image.sides")
        case .shorterSide(let side):
            // side · (H, W) / min(H, W), cut to integers: torchvision.
            let old = extent(of: x, name: "image.old")
            let shorter = emit(
                "ReduceMin", name: "image.shorter", inputs: [old], attributes: ["keepdims": 1])
            let wanted = constant([side], name: "image.side")
            let product = emit("Mul", name: "image.product", inputs: [old, wanted])
            sides = emit("Div", name: "image.sides", inputs: [product, shorter])
        }
        let sizes = emit(
            "Concat", name: "image.sizes", inputs: [batch, channels, sides],
            attributes: ["axis": 0])
        let kernel: Attributes =
            switch input.kernel {
            case .nearest: ["mode": "nearest", "nearest_mode": "round_prefer_ceil"]
            case .triangle: ["mode": "linear", "antialias": 1, "exclude_outside": 1]
            case .cubic:
                [
                    "mode": "cubic", "cubic_coeff_a": .number(-0.5), "antialias": 1,
                    "exclude_outside": 1,
                ]
            case .fourNeighbours: ["mode": "linear"]
            }
        return emit(
            "Resize", name: "image.resized", inputs: [x, "", "", sizes],
            attributes: ["coordinate_transformation_mode": "half_pixel"] + kernel)
    }

    /// Cuts out the centre, padded with zeros where the image is smaller.
    private mutating func cropped(
        _ x: String, as input: ONNXExport.Input, to size: Extent
    ) -> String {
        var isSmaller = false
        switch input.resize {
        case .sides(size.height, size.width): return x
        case .sides(let h, let w): isSmaller = h < size.height || w < size.width
        case .shorterSide(let side): isSmaller = side < max(size.height, size.width)
        }
        let wanted = constant([size.height, size.width], name: "image.wanted")
        let two = constant([2, 2], name: "image.two")
        var x = x
        if isSmaller {
            let zero = constant([0, 0], name: "image.zero")
            let small = extent(of: x, name: "image.small")
            let less = emit("Sub", name: "image.less", inputs: [wanted, small])
            let lack = emit("Max", name: "image.lack", inputs: [less, zero])
            let before = emit("Div", name: "image.before", inputs: [lack, two])
            let after = emit("Sub", name: "image.after", inputs: [lack, before])
            let pads = emit(
                "Concat", name: "image.pads", inputs: [zero, before, zero, after],
                attributes: ["axis": 0])
            x = emit("Pad", name: "image.padded", inputs: [x, pads])
        }
        let new = extent(of: x, name: "image.new")
        let rest = emit("Sub", name: "image.rest", inputs: [new, wanted])
        let half = emit("Div", name: "image.halved", inputs: [rest, two])
        var start = half
        if !input.cropsDown {
            // A half rounds to even, as Python's `round`.
            let odd = emit("Mod", name: "image.odd", inputs: [rest, two])
            let parity = emit("Mod", name: "image.parity", inputs: [half, two])
            let step = emit("Mul", name: "image.step", inputs: [odd, parity])
            start = emit("Add", name: "image.start", inputs: [half, step])
        }
        let end = emit("Add", name: "image.end", inputs: [start, wanted])
        let axes = constant([2, 3], name: "image.axes")
        return emit("Slice", name: "image.cropped", inputs: [x, start, end, axes])
    }
}
