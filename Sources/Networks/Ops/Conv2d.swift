// Convolution over H and W.

import GraftTensors

extension Op {
    /// 2-D convolution, grouped, dilated, depthwise (`groups` = input channels).
    ///
    /// Parameters: `weight` (O, I/groups, kH, kW) and, if it has one, `bias` (O).
    public struct Conv2d: OpRule {
        /// The name in files.
        public static let name = "conv2d"
        /// The number of output channels.
        public var outputs: Int
        /// Kernel, stride, dilation and padding.
        public var window: Window
        /// The groups of channels that do not see each other.
        public var groups: Int
        /// Whether a constant per output channel is added.
        public var bias: Bool

        /// The name in a summary.
        public var kind: String { groups > 1 ? "grouped_conv2d" : "conv2d" }
        /// A convolution, drawn lighter if it has groups.
        public var family: OpFamily { groups > 1 ? .groupedConvolution : .convolution }

        /// A map of `outputs` channels.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try grouped(inputs)
            let size = try window.outputExtent(of: x)
            return [ValueType([x[0], outputs, size.height, size.width])]
        }

        /// The kernel and the bias.
        public func parameters(reading inputs: [ValueType]) throws(OpFlaw) -> [ExpectedParameter] {
            let channels = try grouped(inputs)[1]
            let isDepthwise = groups > 1 && groups == channels
            let kernel: Shape = [
                outputs, channels / groups, window.kernel.height, window.kernel.width,
            ]
            return [ExpectedParameter(isDepthwise ? .depthwiseKernel : .kernel, shape: kernel)]
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

    /// A convolution to `outputs` channels.
    public static func conv2d(outputs: Int, window: Window, groups: Int, bias: Bool) -> Op {
        .conv2d(Conv2d(outputs: outputs, window: window, groups: groups, bias: bias))
    }
}
