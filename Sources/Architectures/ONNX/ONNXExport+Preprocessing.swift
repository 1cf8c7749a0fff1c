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
            /// Pillow's sinc of three lobes, widened when shrinking.
            case lanczos
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
    /// The name of the value that the network reads after its preprocessing.
    static let prepared = "image.normalized"

    /// Adds the preprocessing and returns the name of the network's input.
    mutating func prepare(_ input: ONNXExport.Input?, size: Extent) -> String {
        guard let input else { return "input" }
        var x = emit(
            "Transpose", name: "image.first", inputs: ["input"],
            attributes: ["perm": [0, 3, 1, 2]])
        x = emit("Cast", name: "image.float", inputs: [x], attributes: ["to": 1])
        if input.sources.count == 1 { x = luma(of: x) }
        x = resized(x, by: input.kernel, to: sides(of: x, after: input.resize))
        x = cropped(x, as: input, to: size)
        let channels = input.scale.count
        if channels > 1, input.sources != Array(0..<channels) {
            let order = constant(input.sources, name: "image.order")
            x = emit(
                "Gather", name: "image.ordered", inputs: [x, order], attributes: ["axis": 1])
        }
        let scale = constant(input.scale, shape: [1, channels, 1, 1], name: "image.scale")
        let shift = constant(input.shift, shape: [1, channels, 1, 1], name: "image.shift")
        x = emit("Mul", name: "image.scaled", inputs: [x, scale])
        return emit("Add", name: Self.prepared, inputs: [x, shift])
    }

    /// Adds the height and the width of a map.
    mutating func extent(of x: String, name: String) -> String {
        emit("Shape", name: name, inputs: [x], attributes: ["start": 2, "end": 4])
    }

    /// ⌊(19595 R + 38470 G + 7471 B + 2¹⁵) / 2¹⁶⌋: all of it is exact in 32-bit floats.
    private mutating func luma(of x: String) -> String {
        let weights = constant([19595, 38470, 7471], shape: [1, 3, 1, 1], name: "image.luma")
        let half = constant([32768], shape: [1], name: "image.half")
        let sum = emit("Conv", name: "image.sum", inputs: [x, weights, half])
        let share = constant(1.0 / 65536, name: "image.share")
        let exact = emit("Mul", name: "image.exact", inputs: [sum, share])
        return emit("Floor", name: "image.grey", inputs: [exact])
    }

    /// The height and width to which an image is resized.
    private mutating func sides(
        of x: String, after resize: ONNXExport.Input.Resize
    ) -> String {
        switch resize {
        case .sides(let height, let width): return constant([height, width], name: "image.sides")
        case .shorterSide(let side):
            // side · (H, W) / min(H, W), cut to integers: torchvision.
            let old = extent(of: x, name: "image.old")
            let shorter = emit(
                "ReduceMin", name: "image.shorter", inputs: [old], attributes: ["keepdims": 1])
            let wanted = constant([side], name: "image.side")
            let product = emit("Mul", name: "image.product", inputs: [old, wanted])
            return emit("Div", name: "image.sides", inputs: [product, shorter])
        }
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
