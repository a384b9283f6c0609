"""What any conforming API of an emulated provider must do, judged over HTTP."""
