// Copies over values, and elements that integers name, in ATen.

internal import GraftSchemas
import GraftTensors

extension ATenOperator {
    /// The numbers that overwrite a value: as many, of its type.
    static func copied(
        _ call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let (target, source) = (try call.tensor("self"), try call.tensor("src"))
        let (before, after) = (
            try reader.shape(of: source, for: call), try reader.shape(of: target, for: call)
        )
        var x = try reader.value(source, for: call)
        if before != after {
            let sizes = reader.draft.constant(after, name: call.path + ".sizes")
            x = reader.draft.emit("Expand", name: call.path, inputs: [x, sizes])
        }
        let types = [source, target].map { reader.program.values[$0]?.type ?? 7 }
        guard types[0] != types[1] else { return x }
        return reader.cast(x, to: try reader.type(types[1], for: call), name: call.path)
    }

    /// Elements that integers name: along one axis, or as points of the first axes.
    static func taken(
        _ call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let name = try call.tensor("self")
        let indices = try call.tensors("indices")
        let given = indices.indices.filter { indices[$0] != nil }
        let names = given.compactMap { indices[$0] }
        guard let axis = given.first,
            names.allSatisfy({ [4, 5].contains(reader.program.values[$0]?.type ?? 5) })
        else { throw call.fail(.mask) }
        let x = try reader.value(name, for: call)
        let places = try names.map { try reader.value($0, for: call) }
        guard given.count > 1 else {
            return reader.draft.emit(
                "Gather", name: call.path, inputs: [x, places[0]],
                attributes: ["axis": .integer(axis)])
        }
        guard given == Array(0..<given.count) else {
            throw call.fail(.points(axes: given))
        }
        // Points of the first axes are places along all of them as one.
        let shape = try reader.shape(of: name, for: call)
        var place = places[0]
        for (axis, next) in places.enumerated().dropFirst() {
            let size = try reader.constant(Double(shape[axis]), isReal: false, for: call)
            let row = reader.draft.emit(
                "Mul", name: "\(call.path).row\(axis)", inputs: [place, size])
            place = reader.draft.emit(
                "Add", name: "\(call.path).place\(axis)", inputs: [row, next])
        }
        let rest = Array(shape[given.count...])
        let flat = reader.view(
            x, from: shape, to: [shape[..<given.count].reduce(1, *)] + rest,
            name: call.path + ".flat")
        return reader.draft.emit(
            "Gather", name: call.path, inputs: [flat, place], attributes: ["axis": 0])
    }
}
