// A weight as a value of its own, which any number of nodes may read.

public import GraftTensors

extension Op {
    /// A weight as a value: class tokens, position tables, matrices that several nodes share, constants.
    ///
    /// It reads nothing. Its gradient is the sum over its readers.
    public struct ParameterValue: OpRule {
        /// The name in files.
        public static let name = "parameter"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The sizes of the weight, which are those of the value.
        public var shape: Shape
        /// Whether training may change it; constants of a file do not learn.
        public var learns: Bool
        /// The type of an element; weights that learn are floats.
        public var element: DType

        /// The name in a summary.
        public var kind: String { "parameter" }
        /// Where values enter.
        public var family: OpFamily { .input }
        /// The same for every sample.
        public var treatsSamplesAlone: Bool { false }

        /// The weight.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            guard inputs.isEmpty else { throw .inputCount(expected: 0, found: inputs.count) }
            guard shape.dimensions.allSatisfy({ $0 > 0 }) else { throw .nothingLeft(shape) }
            guard !learns || element == .f32 else {
                throw .elementType(expected: .f32, found: element)
            }
            return [ValueType(shape, element: element)]
        }

        /// The weight itself.
        public func parameters(reading inputs: [ValueType]) throws(OpFlaw) -> [ExpectedParameter] {
            [ExpectedParameter(learns ? .value : .constant, shape: shape)]
        }

        private enum CodingKeys: String, CodingKey {
            case shape, learns, element
        }

        /// A weight of this shape, of floats unless another type is given.
        public init(shape: Shape, learns: Bool, element: DType = .f32) {
            self.shape = shape
            self.learns = learns
            self.element = element
        }

        /// Reads a weight; floats are not named.
        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            shape = try container.decode(Shape.self, forKey: .shape)
            learns = try container.decode(Bool.self, forKey: .learns)
            element = try container.decodeIfPresent(DType.self, forKey: .element) ?? .f32
        }

        /// Writes the element type where it is not floats.
        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(shape, forKey: .shape)
            try container.encode(learns, forKey: .learns)
            if element != .f32 { try container.encode(element, forKey: .element) }
        }
    }

    /// A weight of this shape as a value; a constant if it does not learn.
    public static func parameter(
        _ shape: Shape, learns: Bool, element: DType = .f32
    ) -> Op {
        .parameter(ParameterValue(shape: shape, learns: learns, element: element))
    }
}
