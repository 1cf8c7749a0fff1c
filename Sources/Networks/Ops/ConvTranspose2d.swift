// Transposed convolution over H and W.

import GraftTensors

extension Op {
    /// The transpose of a convolution (PyTorch's `ConvTranspose2d`).
    ///
    /// `window` is that of the convolution whose gradient it is, its explicit padding is cut off,
    /// and `outputPadding` is added at the bottom and the right. Parameters: `weight`
    /// (I, O/groups, kH, kW) and, if it has one, `bias` (O).
    public struct ConvTranspose2d: OpRule {
        /// The name in files.
        public static let name = "convTranspose2d"
        /// The number of output channels.
        public var outputs: Int
        /// Kernel, stride, dilation and padding of the convolution that it transposes.
        public var window: Window
        /// Rows and columns that no window reaches, at the bottom and the right.
        public var outputPadding: Extent
        /// The groups of channels that do not see each other.
        public var groups: Int
        /// Whether a constant per output channel is added.
        public var bias: Bool

        /// The name in a summary.
        public var kind: String { "conv2d_transpose" }
        /// A transposed convolution.
        public var family: OpFamily { .transposedConvolution }

        /// A map of `outputs` channels.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try grouped(inputs)
            let size = try window.transposedExtent(of: x, outputPadding: outputPadding)
            return [ValueType([x[0], outputs, size.height, size.width])]
        }

        /// The kernel and the bias.
        public func parameters(reading inputs: [ValueType]) throws(OpFlaw) -> [ExpectedParameter] {
            let channels = try grouped(inputs)[1]
            let kernel: Shape = [
                channels, outputs / groups, window.kernel.height, window.kernel.width,
            ]
            return [ExpectedParameter(.kernel, shape: kernel)]
                + (bias ? [ExpectedParameter(.bias, shape: [outputs])] : [])
        }

        private func grouped(_ inputs: [ValueType]) throws(OpFlaw) -> Shape {
            let x = try inputs.map()
            guard groups > 0, outputs > 0, outputs % groups == 0, x[1] % groups == 0 else {
                throw .unfitGroups(groups, inputs: x[1], outputs: outputs)
            }
            return x
        }
    }

    /// A transposed convolution to `outputs` channels.
    public static func convTranspose2d(
        outputs: Int, window: Window, outputPadding: Extent, groups: Int, bias: Bool
    ) -> Op {
        .convTranspose2d(
            ConvTranspose2d(
                outputs: outputs, window: window, outputPadding: outputPadding, groups: groups,
                bias: bias))
    }
}
