// The checks of every annotation on its way into a set: what covers nothing or is elsewhere is left out.

import GraftImages

extension AnnotatedImages {
    /// Adds an annotation to its image, or counts why it is left out.
    mutating func add(_ annotation: Annotation, to image: inout AnnotatedImage) {
        if let flaw = Self.flaw(of: annotation, in: image) {
            let place = annotation.place ?? AnnotationPlace(file: image.path)
            omissions.add(flaw.cause, at: place, "class `\(annotation.label)`" + flaw.detail)
        } else {
            image.annotations.append(annotation)
        }
    }

    /// Why an annotation means nothing; nil if it does.
    private static func flaw(of annotation: Annotation, in image: AnnotatedImage)
        -> (cause: Omissions.Cause, detail: String)?
    {
        let points =
            annotation.polygons.flatMap { $0 } + annotation.orientedBox
            + annotation.keypoints.map(\.point) + (annotation.box?.corners ?? [])
        guard points.allSatisfy({ $0.x.isFinite && $0.y.isFinite }) else {
            return (.notFinite, "")
        }
        guard let box = annotation.boundingBox else {
            // A label of the whole image, keypoints alone, or a mask that is not opened here.
            return annotation.polygons.isEmpty && annotation.orientedBox.isEmpty
                && !Self.isEmptyMask(annotation.mask) ? nil : (.emptyBox, "")
        }
        guard box.right > box.left, box.bottom > box.top else {
            return (.emptyBox, ", \(box.text)")
        }
        guard let width = image.width, let height = image.height else { return nil }
        guard box.left < Double(width), box.top < Double(height), box.right > 0, box.bottom > 0
        else {
            return (.outside, ", \(box.text) in \(width) × \(height) pixels")
        }
        return nil
    }

    private static func isEmptyMask(_ mask: AnnotationMask?) -> Bool {
        guard case .runs = mask else { return false }
        return true
    }
}

extension Box {
    /// The four edges in words.
    fileprivate var text: String {
        func short(_ value: Double) -> String {
            let rounded = (value * 100).rounded() / 100
            return rounded == rounded.rounded() && abs(rounded) < 1e15
                ? "\(Int(rounded))" : "\(rounded)"
        }
        return "\(short(left)), \(short(top)) to \(short(right)), \(short(bottom))"
    }
}
