// Some of what lies along an axis.

import GraftTensors

extension Op {
    /// `count` elements of an axis from `start` on, every `step`-th.
    public struct Slice: OpRule {
        /// The name in files.
        public static let name = "slice"
        /// The format of the native file that can say this.
        public var formatVersion: Int { axis == 1 && step == 1 ? 1 : 2 }
        /// The first element.
        public var start: Int
        /// The number of elements.
        public var count: Int
        /// The axis: the channels, unless another is given.
        public var axis: Int
        /// From one element to the next; negative walks back.
        public var step: Int

        /// The name in a summary.
        public var kind: String { "slice" }
        /// A movement.
        public var family: OpFamily { .movement }

        /// Where the samples stay.
        public var treatsSamplesAlone: Bool { axis != 0 }

        /// A value of `count` elements along the axis.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            var x = try inputs.one()
            guard 0..<x.rank ~= axis else { throw .unfitAxes([axis], x) }
            let (span, overflow) = max(count - 1, 0).multipliedReportingOverflow(by: step)
            let (last, beyond) = start.addingReportingOverflow(span)
            guard count > 0, step != 0, !overflow, !beyond, 0..<x[axis] ~= start,
                0..<x[axis] ~= last
            else {
                guard axis != 1 || step != 1 else {
                    throw .unfitChannels(start: start, count: count, x)
                }
                throw .unfitSlice(start: start, count: count, step: step, axis: axis, x)
            }
            x[axis] = count
            return [ValueType(x, element: inputs[0].element)]
        }

        private enum CodingKeys: String, CodingKey {
            case start, count, axis, step
        }

        /// Elements of the channels unless another axis is given.
        public init(start: Int, count: Int, axis: Int = 1, step: Int = 1) {
            self.start = start
            self.count = count
            self.axis = axis
            self.step = step
        }

        /// Version 1 of the native file names no axis: it has the channels only.
        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            start = try container.decode(Int.self, forKey: .start)
            count = try container.decode(Int.self, forKey: .count)
            axis = try container.decodeIfPresent(Int.self, forKey: .axis) ?? 1
            step = try container.decodeIfPresent(Int.self, forKey: .step) ?? 1
        }

        /// Writes what version 1 has as version 1 does.
        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(start, forKey: .start)
            try container.encode(count, forKey: .count)
            if axis != 1 { try container.encode(axis, forKey: .axis) }
            if step != 1 { try container.encode(step, forKey: .step) }
        }
    }

    /// `count` elements from `start` on, of the channels unless another axis is given.
    public static func slice(start: Int, count: Int, axis: Int = 1, step: Int = 1) -> Op {
        .slice(Slice(start: start, count: count, axis: axis, step: step))
    }
}
