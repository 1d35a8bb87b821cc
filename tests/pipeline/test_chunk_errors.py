"""What is kept of an error in the middle of a chunked call: not the frames, whose arrays would fill the device."""

from xpu._chunks._run import _without_frames


def _raised(error):
    try:
        raise error
    except type(error) as caught:
        return caught


def test_no_frame_is_kept_behind_causes_and_contexts_even_in_a_ring():
    error, cause, context = (_raised(ValueError(word)) for word in ("error", "cause", "context"))
    error.__cause__, error.__context__ = cause, context
    context.__cause__ = error
    assert all(e.__traceback__ is not None for e in (error, cause, context))
    assert _without_frames(error) is error
    assert [e.__traceback__ for e in (error, cause, context)] == [None] * 3
