// Elements at computed places, comparisons and choices by them, and several values of one node, in ONNX.

import GraftNetworks
import GraftTensors

extension Op.Gather: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.emit("Gather", at: site, attributes: ["axis": .integer(axis)])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported(kind)
    }
}

extension Op.Compare: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        let name =
            switch relation {
            case .equal: "Equal"
            case .less: "Less"
            case .lessOrEqual: "LessOrEqual"
            case .greater: "Greater"
            case .greaterOrEqual: "GreaterOrEqual"
            }
        return graph.emit(name, at: site)
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported(kind)
    }

    func isNonNegative(reading inputs: [Bool]) -> Bool { true }
}

extension Op.Where: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.emit("Where", at: site)
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported(kind)
    }
}

extension Op.Cast: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String {
        graph.emit("Cast", at: site, attributes: ["to": .integer(try element.onnxType(at: site))])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported(kind)
    }
}

extension Op.ArgExtreme: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.emit(
            largest ? "ArgMax" : "ArgMin", at: site,
            attributes: ["axis": .integer(axis), "keepdims": .integer(keepsAxis ? 1 : 0)])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported(kind)
    }

    func isNonNegative(reading inputs: [Bool]) -> Bool { true }
}

extension Op.TopK: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String {
        throw site.severalValues
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported(kind)
    }
}

extension Op.Split: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String {
        throw site.severalValues
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported(kind)
    }
}

extension DType {
    /// ONNX's number of an element type.
    func onnxType(at site: ONNXSite) throws -> Int {
        let types: [DType: Int] = [
            .f32: 1, .u8: 2, .i8: 3, .u16: 4, .i16: 5, .i32: 6, .i64: 7, .bool: 9, .f16: 10,
            .f64: 11, .u32: 12, .u64: 13, .bf16: 16,
        ]
        guard let type = types[self] else { throw site.noElementType(self) }
        return type
    }

    /// The element type of ONNX's number that a graph has for it; nil for what is none of numbers.
    init?(onnxType: Int) {
        switch onnxType {
        case 1, 10, 11, 16: self = .f32
        case 2: self = .u8
        case 3: self = .i8
        case 4: self = .u16
        case 5: self = .i16
        case 6: self = .i32
        case 7: self = .i64
        case 9: self = .bool
        case 12: self = .u32
        case 13: self = .u64
        default: return nil
        }
    }
}

extension ONNXSite {
    /// A node of several values, of which graft writes none.
    fileprivate var severalValues: ArchitectureError {
        fail("graft does not write operators of several values")
    }

    /// An element type that ONNX lacks.
    fileprivate func noElementType(_ type: DType) -> ArchitectureError {
        fail("ONNX has no element type \(type.rawValue)")
    }
}
