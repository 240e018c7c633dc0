"""Side by side with what people use instead."""
