// Windows over any number of axes.

import GraftTensors

extension Op {
    /// A number for each window over the axes after the channels of (N, C, …): pools that ``MaxPool`` and
    /// ``AveragePool`` do not know.
    ///
    /// A maximum has a second value: the place of each in the flat input, by the rows of its sample and
    /// channel as ONNX counts them.
    public struct PoolAxes: OpRule {
        /// The functions of a window.
        public enum Function: String, Sendable, Hashable, Codable, CaseIterable {
            case maximum
            /// The mean of the elements inside the input.
            case average
            /// The sum divided by the size of the window inside the padded input.
            case averageOfPadded
            case sum
        }
        /// The name in files.
        public static let name = "poolAxes"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The function of a window.
        public var function: Function
        /// The elements of a window along each axis.
        public var kernel: [Int]
        /// From one window to the next.
        public var strides: [Int]
        /// From one element of a window to the next.
        public var dilations: [Int]
        /// The elements before the first.
        public var before: [Int]
        /// The elements after the last.
        public var after: [Int]
        /// The number of windows along each axis.
        public var sizes: [Int]
        /// Whether places are counted with the last axis outermost.
        public var countsColumnsFirst: Bool

        /// The name in a summary.
        public var kind: String { "pool_axes" }
        /// A pooling.
        public var family: OpFamily { .pooling }

        /// Windows over the axes after the channels.
        public init(
            function: Function, kernel: [Int], strides: [Int], dilations: [Int], before: [Int],
            after: [Int], sizes: [Int], countsColumnsFirst: Bool = false
        ) {
            self.function = function
            self.kernel = kernel
            self.strides = strides
            self.dilations = dilations
            self.before = before
            self.after = after
            self.sizes = sizes
            self.countsColumnsFirst = countsColumnsFirst
        }

        /// A number for each window, and of maxima their places.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try inputs.one()
            let limit = 1...Window.maximumExtent
            let axes = x.rank - 2
            for list in [kernel, strides, dilations, sizes] {
                guard axes > 0, list.count == axes, list.allSatisfy(limit.contains) else {
                    throw .unfitAmounts(list, x)
                }
            }
            for list in [before, after] {
                guard list.count == axes,
                    list.allSatisfy({ 0...Window.maximumExtent ~= $0 })
                else { throw .unfitAmounts(list, x) }
            }
            for axis in 0..<axes {
                // Each window begins inside the input or the elements before it.
                let start = (sizes[axis] - 1) * strides[axis] - before[axis]
                guard start < x[axis + 2] + after[axis] else { throw .unfitSizes(sizes, x) }
            }
            let y = Shape([x[0], x[1]] + sizes)
            let value = ValueType(y, element: inputs[0].element)
            return function == .maximum ? [value, ValueType(y, element: .i64)] : [value]
        }
    }
}
